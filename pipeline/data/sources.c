/* sources.c - reads redshift files, a file at a time through an arena of its own, so that only rows that pass the cuts
   stay in memory. */
#include "data/sources.h"

#include <string.h>

#include "core/log.h"

/* ---- the list ---- */

/* Paths as one run of NUL-terminated texts, and back. */
static Status pack_paths(char **text, int64_t *bytes, const FileList *files, Arena *a)
{
    *bytes = 0;
    for (int64_t i = 0; i < files->n; i++) *bytes += (int64_t)strlen(files->path[i]) + 1;
    TRY(arena_new(text, a, *bytes));
    char *to = *text;
    for (int64_t i = 0; i < files->n; i++) to = stpcpy(to, files->path[i]) + 1;
    return OK;
}

static Status unpack_paths(FileList *files, int64_t n, char *text, Arena *a)
{
    files->n = n;
    TRY(arena_new(&files->path, a, n));
    for (int64_t i = 0; i < n; i++) {
        files->path[i] = text;
        text += strlen(text) + 1;
    }
    return OK;
}

Status sources_list(FileList *out, const SpectrumSurvey *survey, const void *config, const Par *par, Arena *a)
{
    Status st = OK;
    char *text = NULL;
    int64_t size[2] = {0, 0}; /* files, bytes of their paths */
    *out = (FileList){0};
    if (par->rank == 0) {
        st = survey->list_redshifts(out, config, a);
        if (st == OK) st = pack_paths(&text, &size[1], out, a);
        size[0] = out->n;
    }
    TRY(par_agree(par, st));
    par_bcast(par, size, sizeof size, 0);
    if (par->rank != 0) st = arena_new(&text, a, size[1]);
    TRY(par_agree(par, st));
    par_bcast(par, text, size[1], 0);
    return par_agree(par, unpack_paths(out, size[0], text, a));
}

/* ---- the rows ---- */

/* Rows of one file that passed, in the caller's arena. */
typedef struct Piece {
    struct Piece *next;
    CatalogRow *rows;
    int64_t n;
} Piece;

static Status sift(Piece *piece, const CatalogRow *rows, int64_t n, int64_t file, RejectList *rejects, const Sources *s,
                   Arena *a)
{
    TRY(arena_new(&piece->rows, a, n));
    for (int64_t i = 0; i < n; i++) {
        CatalogRow *row = &piece->rows[piece->n];
        Reject reason;
        *row = rows[i];
        row->source_file = (int32_t)file;
        if (cuts_pass(&reason, row, s->config)) {
            row->split = (uint8_t)cuts_split(row->targetid, s->seed, s->config);
            piece->n++;
        } else {
            TRY(reject_add(rejects, row, reason));
        }
    }
    return OK;
}

/* Local. One file, through `step`. */
static Status read_file(Piece *piece, int64_t *n_source, int64_t file, RejectList *rejects, const Sources *s,
                        Arena *step, Arena *a)
{
    CatalogRow *rows = NULL;
    int64_t n = 0;
    Mark mark = arena_mark(step);
    Status st = s->survey->read_redshifts(&rows, &n, s->survey_config, s->files->path[file], step);
    if (st == OK) st = sift(piece, rows, n, file, rejects, s, a);
    if (st != OK) fail_note("reading redshifts of %s", s->files->path[file]);
    *n_source += n;
    arena_reset(step, mark);
    return st;
}

static Status join_pieces(CatalogRow **rows, int64_t *n, const Piece *first, Arena *a)
{
    int64_t total = 0;
    for (const Piece *p = first; p; p = p->next) total += p->n;
    TRY(arena_new(rows, a, total));
    *n = 0;
    for (const Piece *p = first; p; p = p->next) {
        if (p->n) memcpy(*rows + *n, p->rows, (size_t)p->n * sizeof **rows);
        *n += p->n;
    }
    return OK;
}

/* Local but for the handing out of files. */
static Status read_files(Piece **first, int64_t *n_source, Work *work, RejectList *rejects, const Sources *s,
                         Arena *step, const Par *par, Arena *a)
{
    Progress progress;
    progress_start(&progress, "catalog", "files", s->files->n);
    for (int64_t file; (file = par_work_next(work, par)) >= 0;) {
        Piece *piece;
        TRY(arena_new(&piece, a, 1));
        TRY(read_file(piece, n_source, file, rejects, s, step, a));
        piece->next = *first;
        *first = piece;
        progress_set(&progress, par_work_done(work, par));
    }
    return OK;
}

Status sources_read(CatalogRow **rows, int64_t *n, int64_t *n_source, RejectList *rejects, const Sources *s,
                    const Par *par, Arena *a)
{
    Work work;
    Arena step = {0}, kept = {0};
    Piece *first = NULL;
    *rows = NULL;
    *n = *n_source = 0;
    Status st = arena_init(&step, "one redshift file", 0);
    if (st == OK) st = arena_init(&kept, "catalogue rows by file", 0);
    TRY_DONE(par_agree(par, st));
    TRY_DONE(par_work_open(&work, par, s->files->n));
    st = read_files(&first, n_source, &work, rejects, s, &step, par, &kept);
    if (st == OK) st = join_pieces(rows, n, first, a);
    if (st != OK) par_work_stop(&work, par);
    st = par_agree(par, st);
    par_work_close(&work, par);
done:
    arena_free(&step);
    arena_free(&kept);
    return st;
}
