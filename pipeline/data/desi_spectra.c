/* desi_spectra.c - spectra of the wanted rows of one file.

   1. FIBERMAP says where each TARGETID lies (without one, the made identifier does); 2. each arm is placed on the
   merged grid by its wavelengths; 3. the wanted rows, in file order and without repeats, are read in contiguous runs,
   HDU by HDU; 4. arms are merged row by row. Files of exposures are coadded instead (desi_exposures.h). A row that
   cannot be had is flagged, whatever is wrong with the file, and what becomes of a row does not depend on which other
   rows are asked for. */
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "data/desi.h"
#include "data/desi_arms.h"
#include "data/desi_exposures.h"
#include "data/flags.h"

/* A wanted row: where it lies in the file, and which row of the request it is. */
typedef struct {
    int64_t file_row, wanted;
} Place;

typedef struct {
    SpectrumBatch *out;
    int64_t at; /* row of the batch that is row 0 of the request */
    const SpectraConfig *options;
    ArmFile arms;
    int64_t n_unreadable;
} Reader;

/* ---- where the rows are ---- */

static int compare_places(const void *a, const void *b)
{
    const Place *x = a, *y = b;
    if (x->file_row != y->file_row) return x->file_row < y->file_row ? -1 : 1;
    return (x->wanted > y->wanted) - (x->wanted < y->wanted);
}

int64_t desi_find_target(const DesiTarget *target, int64_t n, int64_t id)
{
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (target[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && target[low].id == id ? low : -1;
}

/* Without FIBERMAP only made identifiers lead to a row; what another catalogue calls its spectrum cannot be told. */
static Status find_made(Reader *r, int64_t *file_row, int64_t *n_file, FitsFile *f, const CatalogRow *rows, int64_t n)
{
    TRY(desi_count_spectra(n_file, f));
    for (int64_t i = 0; i < n; i++) {
        file_row[i] = desi_made_row(f->path, rows[i].targetid);
        if (file_row[i] >= *n_file) file_row[i] = -1;
        r->out->flag[r->at + i] = file_row[i] >= 0 ? 0 : SPECTRUM_NO_ROW;
        if (desi_is_made(rows[i].targetid)) continue;
        r->out->flag[r->at + i] = SPECTRUM_UNREADABLE;
        r->n_unreadable++;
        if (r->arms.why.status != OK) continue;
        FAIL(E_INPUT, "%s has no HDU FIBERMAP, so nothing says which spectrum is whose", f->path);
        r->arms.why = *fail_record();
        fail_clear();
    }
    return OK;
}

/* File row of each wanted row, -1 = not there, by TARGETID: of equal ones the first row. */
static Status find_rows(Reader *r, int64_t *file_row, int64_t *n_file, FitsFile *f, const CatalogRow *rows, int64_t n,
                        Arena *a)
{
    DesiTarget *target;
    if (!fitsfile_has(f, "FIBERMAP")) return find_made(r, file_row, n_file, f, rows, n);
    TRY(desi_read_targets(&target, n_file, f, a));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = desi_find_target(target, *n_file, rows[i].targetid);
        file_row[i] = at >= 0 ? target[at].row : -1;
        r->out->flag[r->at + i] = at >= 0 ? 0 : SPECTRUM_NO_ROW;
    }
    return OK;
}

/* Places of the rows that the file holds, in file order; the others are flagged. */
static Status find_places(Reader *r, Place **places, int64_t *n_places, int64_t *n_file, FitsFile *f,
                          const CatalogRow *rows, int64_t n, Arena *a)
{
    int64_t *row;
    TRY(arena_new(&row, a, n));
    TRY(arena_new(places, a, n));
    TRY(find_rows(r, row, n_file, f, rows, n, a));
    *n_places = 0;
    for (int64_t i = 0; i < n; i++)
        if (row[i] >= 0) (*places)[(*n_places)++] = (Place){row[i], i};
    if (*n_places > 1) qsort(*places, (size_t)*n_places, sizeof **places, compare_places);
    return OK;
}

/* ---- reading ---- */

/* Merges slot k of the arms into the batch row of a place that wants it. */
static void merge_slot(Reader *r, int64_t k, bool ok, int64_t wanted)
{
    Arm arm[N_ARMS];
    if (!ok) {
        r->out->flag[r->at + wanted] = SPECTRUM_UNREADABLE;
        r->n_unreadable++;
        return;
    }
    arms_slot(arm, &r->arms, k);
    arms_merge(r->out, r->at + wanted, arm, r->arms.joined, r->options);
}

/* Places [0, n) cover at most ARM_ROWS different rows of the file. */
static Status read_places(Reader *r, FitsFile *f, const Place *place, int64_t n)
{
    int64_t file_row[ARM_ROWS], n_rows = 0;
    bool ok[ARM_ROWS];
    for (int64_t i = 0; i < n; i++)
        if (n_rows == 0 || file_row[n_rows - 1] != place[i].file_row) file_row[n_rows++] = place[i].file_row;
    TRY(arms_read(ok, &r->arms, f, file_row, n_rows));
    for (int64_t i = 0, k = 0; i < n; i++) {
        if (place[i].file_row != file_row[k]) k++;
        merge_slot(r, k, ok[k], place[i].wanted);
    }
    return OK;
}

/* A file with one spectrum per target. */
static Status read_coadds(Reader *r, FitsFile *f, const CatalogRow *rows, int64_t n, Arena *a)
{
    Place *place;
    int64_t n_places, n_file;
    TRY(find_places(r, &place, &n_places, &n_file, f, rows, n, a));
    TRY(arms_open(&r->arms, f, n_file, n_places < ARM_ROWS ? n_places : ARM_ROWS, a));
    for (int64_t i = 0; i < n_places && !r->arms.on_grid; i++)
        r->out->flag[r->at + place[i].wanted] = SPECTRUM_BAD_GRID;
    for (int64_t i = 0, end; i < n_places && r->arms.on_grid; i = end) {
        end = i + ARM_ROWS < n_places ? i + ARM_ROWS : n_places;
        TRY(read_places(r, f, place + i, end - i));
    }
    return OK;
}

static Status read_file(Reader *r, FitsFile *f, const CatalogRow *rows, int64_t n, Arena *a)
{
    if (desi_holds_exposures(f))
        TRY(exposures_read(r->out, r->at, &r->arms, &r->n_unreadable, f, r->options, rows, n, a));
    else
        TRY(read_coadds(r, f, rows, n, a));
    if (!r->arms.on_grid)
        log_rank("%s: wavelengths are not the DESI grid (3600 Angstrom + 0.8 i): its rows are flagged", f->path);
    if (r->n_unreadable > 0)
        log_rank("%s: %lld rows flagged: %s", f->path, (long long)r->n_unreadable, r->arms.why.text);
    return OK;
}

/* All rows of the request get one flag; batch rows are as spectra_batch left them. */
static void flag_all(Reader *r, int64_t n, int32_t flag)
{
    for (int64_t i = r->at; i < r->at + n; i++) {
        r->out->flag[i] = flag;
        memset(r->out->flux + i * GRID_PIXELS, 0, GRID_PIXELS * sizeof *r->out->flux);
        memset(r->out->ivar + i * GRID_PIXELS, 0, GRID_PIXELS * sizeof *r->out->ivar);
        memset(r->out->stats + i * N_SPECTRUM_STATS, 0, N_SPECTRUM_STATS * sizeof *r->out->stats);
    }
}

Status desi_read_spectra(SpectrumBatch *out, int64_t at, const void *config, const SpectraConfig *options,
                         const char *path, const CatalogRow *rows, int64_t n, Arena *scratch)
{
    (void)config;
    MUST(at >= 0 && n >= 0 && at + n <= out->n);
    Reader r = {.out = out, .at = at, .options = options};
    FitsFile f = {0};
    char full[2 * DESI_PATH];
    flag_all(&r, n, SPECTRUM_NO_FILE);
    if (!survey_file(full, sizeof full, "", path)) {
        log_rank("%s is missing: %lld rows flagged", path, (long long)n);
        return OK;
    }
    Mark mark = arena_mark(scratch);
    Status st = desi_open(&f, full);
    if (st == OK) st = read_file(&r, &f, rows, n, scratch);
    fitsfile_close(&f);
    arena_reset(scratch, mark);
    if (st == OK || st == E_MEMORY) return st;
    flag_all(&r, n, SPECTRUM_UNREADABLE);
    log_rank("%s: %lld rows flagged", fail_record()->text, (long long)n);
    fail_clear();
    return OK;
}
