/* desi_arms.c - images of a file of DESI spectra, by name, in any order. */
#include "data/desi_arms.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum { PART_FLUX, PART_IVAR, PART_MASK } Part;
static const char *const part_name[] = {"FLUX", "IVAR", "MASK"};

static void part_hdu(char out[FITS_NAME], const ArmImages *arm, const char *part)
{
    snprintf(out, FITS_NAME, "%s_%s", arm->name, part);
}

/* ---- opening ---- */

/* Places an arm on the merged grid by its wavelengths; *fits is false where they are not that grid (1e-4 Angstrom). */
static Status place_arm(ArmImages *arm, bool *fits, FitsFile *f, const char *hdu, Arena *a)
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

/* The image must hold one row per spectrum and one pixel per wavelength. */
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

static Status open_arm(ArmImages *arm, bool *on_grid, FitsFile *f, int64_t n_file, int64_t n_slots, Arena *a)
{
    char hdu[FITS_NAME];
    bool fits;
    part_hdu(hdu, arm, "WAVELENGTH");
    TRY(place_arm(arm, &fits, f, hdu, a));
    *on_grid &= fits;
    if (!fits) return OK;
    part_hdu(hdu, arm, "MASK");
    arm->has_mask = fitsfile_has(f, hdu);
    for (int part = PART_FLUX; part <= (arm->has_mask ? PART_MASK : PART_IVAR); part++) {
        part_hdu(hdu, arm, part_name[part]);
        TRY(check_image(f, hdu, n_file, arm->n));
    }
    TRY(arena_new(&arm->flux, a, n_slots * arm->n));
    TRY(arena_new(&arm->ivar, a, n_slots * arm->n));
    return arm->has_mask ? arena_new(&arm->mask, a, n_slots * arm->n) : OK;
}

Status arms_open(ArmFile *out, FitsFile *f, int64_t n_file, int64_t n_slots, Arena *a)
{
    int n_arms = 0;
    out->on_grid = true;
    for (int b = 0; b < N_ARMS; b++) {
        char hdu[FITS_NAME];
        ArmImages *arm = &out->arm[b];
        arm->name[0] = arm_name[b];
        part_hdu(hdu, arm, "FLUX");
        arm->present = fitsfile_has(f, hdu);
        n_arms += arm->present;
    }
    if (n_arms == 0 && fitsfile_has(f, "BRZ_FLUX")) {
        strcpy(out->arm[0].name, "BRZ");
        n_arms = out->arm[0].present = out->joined = true;
    }
    if (n_arms == 0) return FAIL(E_INPUT, "%s has none of the HDUs B_FLUX, R_FLUX, Z_FLUX", f->path);
    for (int b = 0; b < N_ARMS; b++)
        if (out->arm[b].present) TRY(open_arm(&out->arm[b], &out->on_grid, f, n_file, n_slots, a));
    if (out->joined && out->arm[0].n != GRID_PIXELS) out->on_grid = false;
    return OK;
}

/* ---- reading ---- */

static Status read_run(ArmImages *arm, Part part, FitsFile *f, int64_t slot, int64_t first, int64_t n)
{
    int64_t at = slot * arm->n;
    if (part == PART_MASK) return fitsfile_read_mask(arm->mask + at, f, first, n);
    return fitsfile_read_rows((part == PART_FLUX ? arm->flux : arm->ivar) + at, f, FITS_F32, first, n);
}

/* One HDU of the rows, a run of neighbours at a time. A run that fails is tried again row by row. */
static Status read_part(bool *ok, FailRecord *why, ArmImages *arm, Part part, FitsFile *f, const int64_t *file_row,
                        int64_t n)
{
    char hdu[FITS_NAME];
    part_hdu(hdu, arm, part_name[part]);
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

Status arms_read(bool *ok, ArmFile *file, FitsFile *f, const int64_t *file_row, int64_t n)
{
    for (int64_t k = 0; k < n; k++) ok[k] = true;
    for (int b = 0; b < N_ARMS; b++) {
        ArmImages *arm = &file->arm[b];
        for (int part = PART_FLUX; arm->present && part <= (arm->has_mask ? PART_MASK : PART_IVAR); part++)
            TRY(read_part(ok, &file->why, arm, (Part)part, f, file_row, n));
    }
    return OK;
}

void arms_slot(Arm out[N_ARMS], const ArmFile *file, int64_t slot)
{
    for (int b = 0; b < N_ARMS; b++) {
        const ArmImages *arm = &file->arm[b];
        out[b] = (Arm){0};
        if (!arm->present) continue;
        out[b] = (Arm){.n = arm->n,
                       .start = arm->start,
                       .flux = arm->flux + slot * arm->n,
                       .ivar = arm->ivar + slot * arm->n};
        if (arm->has_mask) out[b].mask = arm->mask + slot * arm->n;
    }
}

void arms_merge(SpectrumBatch *out, int64_t i, const Arm arm[N_ARMS], bool joined, const SpectraConfig *options)
{
    float ivar[GRID_PIXELS];
    if (!joined) {
        spectra_merge(out, i, arm, options);
        return;
    }
    for (int64_t k = 0; k < GRID_PIXELS; k++) ivar[k] = arm->mask && arm->mask[k] ? 0 : arm->ivar[k];
    spectra_take(out, i, arm->flux, ivar, options);
}
