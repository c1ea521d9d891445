/* sources.c - reads the files of redshifts or of objects, a piece of rows at a time through an arena of its own, so that
   only rows that pass the cuts stay in memory, and a file of many million rows is shared among ranks. */
#include "data/sources.h"

#include <string.h>

#include "core/log.h"
#include "data/healpix.h"

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

Status sources_list(FileList *out, ListFiles list, const void *config, const Par *par, Arena *a)
{
    Status st = OK;
    char *text = NULL;
    int64_t size[2] = {0, 0}; /* files, bytes of their paths */
    *out = (FileList){0};
    if (par->rank == 0 && list) {
        st = list(out, config, a);
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

/* ---- pieces of files ---- */

/* Rows of a piece: at most 9 MB of them, of small catalogues a quarter of a rank's share, so that the shares come out
   even. */
enum { PIECE_MOST = 1 << 15, PIECE_LEAST = 1 << 10 };

static int64_t piece_rows(int64_t total, const Par *par)
{
    int64_t rows = total / (4 * (int64_t)par->n_ranks);
    return rows > PIECE_MOST ? PIECE_MOST : rows < PIECE_LEAST ? PIECE_LEAST : rows;
}

/* Rows [first, first + n) of a file: a unit of work. */
typedef struct {
    int64_t file, first, n;
} Piece;

static bool is_objects(const Sources *s, int64_t file) { return file >= s->n_redshifts; }

/* Local. Rows of one file. */
static Status count_rows(int64_t *n, const Sources *s, int64_t file, Arena *step)
{
    const char *path = s->files->path[file];
    const ReleaseConfig *r = s->release;
    Mark mark = arena_mark(step);
    Status st = is_objects(s, file) ? release_images(r)->count_objects(n, r->images.config, path, step)
                                    : release_spectra(r)->count_redshifts(n, r->spectra.config, path, step);
    if (st != OK) fail_note("counting the rows of %s", path);
    arena_reset(step, mark);
    return st;
}

typedef struct {
    Piece *piece;
    int64_t n;
    int64_t most; /* rows of the pieces that one rank may take: twice its share, whoever is slow */
} Pieces;

/* Collective. All pieces of files [first, last), on every rank. */
static Status cut_pieces(Pieces *out, const Sources *s, int64_t first, int64_t last, Arena *step, const Par *par,
                         Arena *a)
{
    int64_t *rows = NULL, k = 0, n_files = last - first, total = 0;
    *out = (Pieces){0};
    Status st = arena_new(&rows, a, n_files);
    for (int64_t i = par->rank; i < n_files && st == OK; i += par->n_ranks)
        st = count_rows(&rows[i], s, first + i, step);
    TRY(par_agree(par, st));
    par_sum_i64(par, rows, n_files);
    for (int64_t i = 0; i < n_files; i++) total += rows[i];
    const int64_t size = piece_rows(total, par);
    for (int64_t i = 0; i < n_files; i++) out->n += (rows[i] + size - 1) / size;
    out->most = 2 * (total / par->n_ranks) + 1;
    st = arena_new(&out->piece, a, out->n);
    for (int64_t i = 0; i < n_files && st == OK; i++)
        for (int64_t at = 0; at < rows[i]; at += size)
            out->piece[k++] = (Piece){first + i, at, rows[i] - at < size ? rows[i] - at : size};
    return par_agree(par, st);
}

/* ---- the rows ---- */

/* Rows of one piece that passed, in the caller's arena. */
typedef struct Kept {
    struct Kept *next;
    CatalogRow *rows;
    int64_t n;
} Kept;

/* Rows of a stored set keep the order of their files. */
static void place_row(CatalogRow *row, const Sources *s, bool objects)
{
    bool stored = objects ? release_images(s->release)->stored : release_spectra(s->release)->stored;
    if (stored) row->place = ((int64_t)row->source_file + 1) << 40 | (row->source_row + 1);
    if (objects && stored) {
        row->image_file = row->source_file;
        row->image_row = row->source_row;
    }
}

static bool wanted(Reject *reason, const CatalogRow *row, const Sources *s)
{
    const SpectrumSurvey *survey = release_spectra(s->release);
    if (!cuts_pass(reason, row, s->config)) return false;
    *reason = REJECT_PROGRAM;
    return !row->has_spectrum || !survey->wants || survey->wants(s->release->spectra.config, row);
}

static Status sift(Kept *kept, const CatalogRow *rows, int64_t n, const Piece *piece, RejectList *rejects,
                   const Sources *s, Arena *a)
{
    TRY(arena_new(&kept->rows, a, n));
    for (int64_t i = 0; i < n; i++) {
        CatalogRow *row = &kept->rows[kept->n];
        Reject reason;
        *row = rows[i];
        row->source_file = (int32_t)piece->file;
        place_row(row, s, is_objects(s, piece->file));
        if (row->healpix < 0) row->healpix = healpix_pixel(row->ra, row->dec);
        if (wanted(&reason, row, s)) {
            row->split = (uint8_t)cuts_split(row->targetid, s->seed, s->config);
            kept->n++;
        } else {
            if (reason == REJECT_POOR_REDSHIFT) TRY(cuts_check_redshift(row, s->config, s->files->path[piece->file]));
            TRY(reject_add(rejects, row, reason));
        }
    }
    return OK;
}

/* Local. One piece, through `step`. */
static Status read_piece(Kept *kept, SourceCounts *counts, const Piece *piece, const Sources *s, Arena *step, Arena *a)
{
    CatalogRow *rows = NULL;
    int64_t n = piece->n;
    const char *path = s->files->path[piece->file];
    const ReleaseConfig *r = s->release;
    Mark mark = arena_mark(step);
    Status st = arena_new(&rows, step, n);
    if (st == OK && is_objects(s, piece->file))
        st = release_images(r)->read_objects(rows, &n, counts->skipped + piece->file * N_REJECTS, r->images.config,
                                             path, piece->first, piece->n, step);
    else if (st == OK)
        st = release_spectra(r)->read_redshifts(rows, r->spectra.config, path, piece->first, n, step);
    if (st == OK) st = sift(kept, rows, n, piece, counts->rejects, s, a);
    if (st != OK)
        fail_note("reading rows %lld to %lld of %s", (long long)piece->first, (long long)(piece->first + piece->n - 1),
                  path);
    counts->rows += piece->n;
    arena_reset(step, mark);
    return st;
}

static Status join_pieces(CatalogRow **rows, int64_t *n, const Kept *first, Arena *a)
{
    int64_t total = 0;
    for (const Kept *k = first; k; k = k->next) total += k->n;
    TRY(arena_new(rows, a, total));
    *n = 0;
    for (const Kept *k = first; k; k = k->next) {
        if (k->n) memcpy(*rows + *n, k->rows, (size_t)k->n * sizeof **rows);
        *n += k->n;
    }
    return OK;
}

/* Local but for the handing out of pieces. */
static Status read_pieces(Kept **first, SourceCounts *counts, Work *work, const Pieces *pieces, const Sources *s,
                          Arena *step, const Par *par, Arena *a)
{
    Progress progress;
    int64_t taken = 0;
    progress_start(&progress, "catalog", "pieces of files", pieces->n);
    for (int64_t i; taken < pieces->most && (i = par_work_next(work, par)) >= 0;) {
        Kept *kept;
        taken += pieces->piece[i].n;
        TRY(arena_new(&kept, a, 1));
        TRY(read_piece(kept, counts, &pieces->piece[i], s, step, a));
        kept->next = *first;
        *first = kept;
        progress_set(&progress, par_work_done(work, par));
    }
    return OK;
}

/* Collective. Files [from, to). */
static Status read_files(CatalogRow **rows, int64_t *n, SourceCounts *counts, const Sources *s, int64_t from,
                         int64_t to, const Par *par, Arena *a)
{
    Work work;
    Arena step = {0}, kept = {0};
    Pieces pieces;
    Kept *first = NULL;
    *rows = NULL;
    *n = 0;
    Status st = arena_init(&step, "rows of one file", 0);
    if (st == OK) st = arena_init(&kept, "catalogue rows by file", 0);
    TRY_DONE(par_agree(par, st));
    TRY_DONE(cut_pieces(&pieces, s, from, to, &step, par, &kept));
    TRY_DONE(par_work_open(&work, par, pieces.n));
    st = read_pieces(&first, counts, &work, &pieces, s, &step, par, &kept);
    if (st == OK) st = join_pieces(rows, n, first, a);
    if (st != OK) par_work_stop(&work, par);
    st = par_agree(par, st);
    par_work_close(&work, par);
done:
    arena_free(&step);
    arena_free(&kept);
    return st;
}

Status sources_redshifts(CatalogRow **rows, int64_t *n, SourceCounts *counts, const Sources *s, const Par *par,
                         Arena *a)
{
    return read_files(rows, n, counts, s, 0, s->n_redshifts, par, a);
}

Status sources_objects(CatalogRow **rows, int64_t *n, SourceCounts *counts, const Sources *s, const Par *par, Arena *a)
{
    return read_files(rows, n, counts, s, s->n_redshifts, s->files->n, par, a);
}
