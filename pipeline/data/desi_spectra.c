/* desi_spectra.c - spectra of the wanted rows of one coadd file.

   1. FIBERMAP says where each TARGETID lies; 2. each arm is placed on the merged grid by its wavelengths; 3. the
   wanted rows, in file order and without repeats, are read in contiguous runs, HDU by HDU; 4. arms are merged row by
   row. A row that cannot be had is flagged, whatever is wrong with the file, and what becomes of a row does not
   depend on which other rows are asked for. */
#include "data/desi.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "data/flags.h"

enum { BATCH_ROWS = 256 }; /* rows held at a time: 24 MB */

/* A wanted row: where it lies in the file, and which row of the request it is. */
typedef struct {
    int64_t file_row, wanted;
} Place;

typedef struct {
    bool present, has_mask;
    int64_t n, start;   /* pixels; the first one on the merged grid */
    float *flux, *ivar; /* (BATCH_ROWS, n) */
    uint32_t *mask;     /* (BATCH_ROWS, n) */
} ArmFile;

typedef enum { PART_FLUX, PART_IVAR, PART_MASK } Part;
static const char *const part_name[] = {"FLUX", "IVAR", "MASK"};

/* ---- where the rows are ---- */

typedef struct {
    int64_t id, row;
} Target;

static int compare_targets(const void *a, const void *b)
{
    const Target *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int compare_places(const void *a, const void *b)
{
    const Place *x = a, *y = b;
    if (x->file_row != y->file_row) return x->file_row < y->file_row ? -1 : 1;
    return (x->wanted > y->wanted) - (x->wanted < y->wanted);
}

/* All TARGETIDs of the file, sorted; of equal ones the first row comes first. */
static Status read_targets(Target **out, int64_t *n, FitsFile *f, Arena *a)
{
    int64_t *id, width, start, bytes;
    if (!fitsfile_has(f, "FIBERMAP"))
        return FAIL(E_INPUT, "%s has no HDU FIBERMAP, so nothing says which spectrum is whose", f->path);
    TRY(fitsfile_goto(f, "FIBERMAP"));
    TRY(fitsfile_rows(n, f));
    TRY(fitsfile_data_span(&start, &bytes, f));
    TRY(fitsfile_column_width(&width, f, "TARGETID"));
    if (width != 1 || *n > bytes / (int64_t)sizeof *id)
        return FAIL(E_INPUT, "%s: HDU FIBERMAP: TARGETID is not one number per row", f->path);
    TRY(arena_new(&id, a, *n));
    TRY(arena_new(out, a, *n));
    TRY(fitsfile_read_column(id, f, "TARGETID", FITS_I64, 0, *n));
    for (int64_t i = 0; i < *n; i++) (*out)[i] = (Target){id[i], i};
    if (*n > 1) qsort(*out, (size_t)*n, sizeof **out, compare_targets);
    return OK;
}

/* File row of a TARGETID, -1 = not there. */
static int64_t find_target(const Target *target, int64_t n, int64_t id)
{
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (target[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && target[low].id == id ? target[low].row : -1;
}

/* Places of the rows that the file holds, in file order; the others are flagged. */
static Status find_places(Place **places, int64_t *n_places, int64_t *n_file, int32_t *flag, FitsFile *f,
                          const CatalogRow *rows, int64_t n, Arena *a)
{
    Target *target;
    TRY(read_targets(&target, n_file, f, a));
    TRY(arena_new(places, a, n));
    *n_places = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t row = find_target(target, *n_file, rows[i].targetid);
        if (row >= 0) (*places)[(*n_places)++] = (Place){row, i};
        flag[i] = row >= 0 ? 0 : SPECTRUM_NO_ROW;
    }
    if (*n_places > 1) qsort(*places, (size_t)*n_places, sizeof **places, compare_places);
    return OK;
}

/* ---- where the arms are ---- */

/* Places an arm on the merged grid by its wavelengths; *fits is false where they are not that grid (1e-4 Angstrom). */
static Status place_arm(ArmFile *arm, bool *fits, FitsFile *f, const char *hdu, Arena *a)
{
    int64_t dims[FITS_AXES];
    int n_axes;
    double *wave;
    *fits = false;
    TRY(fitsfile_goto(f, hdu));
    TRY(fitsfile_image_size(dims, &n_axes, f));
    if (n_axes != 1 || dims[0] < 1) return FAIL(E_INPUT, "%s: HDU %s is not a row of wavelengths", f->path, hdu);
    arm->n = dims[0];
    if (arm->n > GRID_PIXELS) return OK;
    TRY(arena_new(&wave, a, arm->n));
    TRY(fitsfile_read_rows(wave, f, FITS_F64, 0, arm->n));
    double first = (wave[0] - GRID_START) / GRID_STEP;
    if (!(first > -0.5 && first < GRID_PIXELS)) return OK;
    arm->start = llround(first);
    if (arm->start + arm->n > GRID_PIXELS) return OK;
    for (int64_t k = 0; k < arm->n; k++)
        if (!(fabs(wave[k] - (GRID_START + GRID_STEP * (double)(arm->start + k))) <= 1e-4)) return OK;
    *fits = true;
    return OK;
}

static void part_hdu(char out[FITS_NAME], int arm, const char *part)
{
    snprintf(out, FITS_NAME, "%c_%s", arm_name[arm], part);
}

/* The image must hold one row per row of FIBERMAP and one pixel per wavelength. */
static Status check_image(FitsFile *f, const char *hdu, int64_t n_rows, int64_t n_pixels)
{
    int64_t dims[FITS_AXES];
    int n_axes;
    TRY(fitsfile_goto(f, hdu));
    TRY(fitsfile_image_size(dims, &n_axes, f));
    if (n_axes != 2 || dims[0] != n_rows || dims[1] != n_pixels)
        return FAIL(E_INPUT, "%s: HDU %s is not %lld spectra (rows of FIBERMAP) of %lld pixels", f->path, hdu,
                    (long long)n_rows, (long long)n_pixels);
    return OK;
}

/* Which arms the file has, where they lie, and room for BATCH_ROWS rows of them. */
static Status open_arms(ArmFile arms[N_ARMS], bool *fits, FitsFile *f, int64_t n_file, int64_t n_batch, Arena *a)
{
    int n_arms = 0;
    char hdu[FITS_NAME];
    *fits = true;
    for (int b = 0; b < N_ARMS; b++) {
        ArmFile *arm = &arms[b];
        part_hdu(hdu, b, "FLUX");
        arm->present = fitsfile_has(f, hdu);
        if (!arm->present) continue;
        n_arms++;
        part_hdu(hdu, b, "WAVELENGTH");
        bool arm_fits;
        TRY(place_arm(arm, &arm_fits, f, hdu, a));
        *fits &= arm_fits;
        if (!arm_fits) continue;
        part_hdu(hdu, b, "MASK");
        arm->has_mask = fitsfile_has(f, hdu);
        for (int part = PART_FLUX; part <= (arm->has_mask ? PART_MASK : PART_IVAR); part++) {
            part_hdu(hdu, b, part_name[part]);
            TRY(check_image(f, hdu, n_file, arm->n));
        }
        TRY(arena_new(&arm->flux, a, n_batch * arm->n));
        TRY(arena_new(&arm->ivar, a, n_batch * arm->n));
        TRY(arena_new(&arm->mask, a, n_batch * arm->n));
    }
    return n_arms > 0 ? OK : FAIL(E_INPUT, "%s has none of the HDUs B_FLUX, R_FLUX, Z_FLUX", f->path);
}

/* ---- reading ---- */

static Status read_run(ArmFile *arm, Part part, FitsFile *f, int64_t slot, int64_t first, int64_t n)
{
    int64_t at = slot * arm->n;
    if (part == PART_MASK) return fitsfile_read_mask(arm->mask + at, f, first, n);
    return fitsfile_read_rows((part == PART_FLUX ? arm->flux : arm->ivar) + at, f, FITS_F32, first, n);
}

/* One HDU of file rows file_row[0..n) (increasing) into slots 0..n-1, a run of neighbours at a time. A row that
   cannot be read loses its `ok`: a run that fails is tried again row by row. *why keeps the first reason. */
static Status read_part(bool *ok, FailRecord *why, ArmFile *arm, int b, Part part, FitsFile *f, const int64_t *file_row,
                        int64_t n)
{
    char hdu[FITS_NAME];
    part_hdu(hdu, b, part_name[part]);
    TRY(fitsfile_goto(f, hdu));
    for (int64_t slot = 0, run; slot < n; slot += run) {
        for (run = 1; slot + run < n && file_row[slot + run] == file_row[slot] + run;) run++;
        if (read_run(arm, part, f, slot, file_row[slot], run) == OK) continue;
        if (why->status == OK) *why = *fail_record();
        for (int64_t k = slot; k < slot + run; k++)
            if (read_run(arm, part, f, k, file_row[k], 1) != OK) ok[k] = false;
        fail_clear();
    }
    return OK;
}

typedef struct {
    SpectrumBatch *out;
    int64_t at; /* row of the batch that is row 0 of the request */
    const SpectraConfig *options;
    ArmFile arm[N_ARMS];
    int64_t n_unreadable;
    FailRecord why;
} Reader;

/* Merges slot k of the arms into the batch row of each place that wants it. */
static void merge_slot(Reader *r, int64_t k, bool ok, int64_t wanted)
{
    Arm arm[N_ARMS] = {0};
    if (!ok) {
        r->out->flag[r->at + wanted] = SPECTRUM_UNREADABLE;
        r->n_unreadable++;
        return;
    }
    for (int b = 0; b < N_ARMS; b++) {
        const ArmFile *file = &r->arm[b];
        if (!file->present) continue;
        arm[b] = (Arm){.n = file->n,
                       .start = file->start,
                       .flux = file->flux + k * file->n,
                       .ivar = file->ivar + k * file->n};
        if (file->has_mask) arm[b].mask = file->mask + k * file->n;
    }
    spectra_merge(r->out, r->at + wanted, arm, r->options);
}

/* Places [0, n) cover at most BATCH_ROWS different rows of the file. */
static Status read_places(Reader *r, FitsFile *f, const Place *place, int64_t n)
{
    int64_t file_row[BATCH_ROWS], n_rows = 0;
    bool ok[BATCH_ROWS];
    for (int64_t i = 0; i < n; i++)
        if (n_rows == 0 || file_row[n_rows - 1] != place[i].file_row) file_row[n_rows++] = place[i].file_row;
    for (int64_t k = 0; k < n_rows; k++) ok[k] = true;
    for (int b = 0; b < N_ARMS; b++) {
        ArmFile *arm = &r->arm[b];
        for (int part = PART_FLUX; arm->present && part <= (arm->has_mask ? PART_MASK : PART_IVAR); part++)
            TRY(read_part(ok, &r->why, arm, b, (Part)part, f, file_row, n_rows));
    }
    for (int64_t i = 0, k = 0; i < n; i++) {
        if (place[i].file_row != file_row[k]) k++;
        merge_slot(r, k, ok[k], place[i].wanted);
    }
    return OK;
}

static Status read_file(Reader *r, FitsFile *f, const CatalogRow *rows, int64_t n, Arena *a)
{
    Place *place;
    int64_t n_places, n_file;
    bool fits;
    TRY(find_places(&place, &n_places, &n_file, r->out->flag + r->at, f, rows, n, a));
    TRY(open_arms(r->arm, &fits, f, n_file, n_places < BATCH_ROWS ? n_places : BATCH_ROWS, a));
    if (!fits) {
        for (int64_t i = 0; i < n_places; i++) r->out->flag[r->at + place[i].wanted] = SPECTRUM_BAD_GRID;
        log_rank("%s: wavelengths are not the DESI grid (3600 Angstrom + 0.8 i): %lld rows flagged", f->path,
                 (long long)n_places);
        return OK;
    }
    for (int64_t i = 0, end; i < n_places; i = end) {
        end = i + BATCH_ROWS < n_places ? i + BATCH_ROWS : n_places;
        TRY(read_places(r, f, place + i, end - i));
    }
    if (r->n_unreadable > 0) log_rank("%s: %lld rows flagged: %s", f->path, (long long)r->n_unreadable, r->why.text);
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
