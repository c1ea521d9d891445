/* sdss_spectra.c - the coadded spectrum of a spec file, on the DESI grid.

   HDU COADD is a table with a row per pixel: flux, loglam, ivar, and_mask. A pixel counts where ivar > 0 and no bit of
   release.spectra.mask_bits is set in and_mask. Several rows may want the same file: it is read once. */
#include <math.h>
#include <string.h>

#include "core/log.h"
#include "data/desi.h"
#include "data/flags.h"
#include "data/resample.h"
#include "data/sdss.h"

enum { PIXELS_MAX = 1 << 16 }; /* BOSS has 4700 */

typedef struct {
    float flux[GRID_PIXELS], ivar[GRID_PIXELS];
    bool finite; /* no NaN and no infinity had to be passed over */
    bool fits;   /* wavelengths can be used */
    SdssName name;
} Coadd;

/* The observation that the file says it holds; keywords that are not there keep the value of the file's name. */
static void read_name(Coadd *s, FitsFile *f)
{
    if (!sdss_parse_name(&s->name, f->path)) s->name = (SdssName){-1, -1, -1};
    if (!fitsfile_get_i64(&s->name.plate, f, "PLATEID")) fitsfile_get_i64(&s->name.plate, f, "PLATE");
    fitsfile_get_i64(&s->name.mjd, f, "MJD");
    fitsfile_get_i64(&s->name.fiber, f, "FIBERID");
}

static Status read_pixels(float *out, FitsFile *f, const char *column, int64_t n)
{
    int64_t width;
    TRY(fitsfile_column_width(&width, f, column));
    if (width != 1) return FAIL(E_INPUT, "%s: HDU %s: column %s is not one number per pixel", f->path, f->hdu, column);
    return fitsfile_read_column(out, f, column, FITS_F32, 0, n);
}

/* ivar becomes 0 where a bit of the mask says so. */
static Status apply_mask(float *ivar, FitsFile *f, int64_t bits, int64_t n, Arena *a)
{
    int64_t *mask, width;
    if (bits == 0 || !fitsfile_has_column(f, "and_mask")) return OK;
    TRY(fitsfile_column_width(&width, f, "and_mask"));
    if (width != 1) return FAIL(E_INPUT, "%s: HDU %s: column and_mask is not one number per pixel", f->path, f->hdu);
    TRY(arena_new(&mask, a, n));
    TRY(fitsfile_read_column(mask, f, "and_mask", FITS_I64, 0, n));
    for (int64_t k = 0; k < n; k++)
        if (mask[k] & bits) ivar[k] = 0;
    return OK;
}

static Status read_coadd(Coadd *s, FitsFile *f, int64_t mask_bits, Arena *a)
{
    float *flux, *ivar, *loglam;
    int64_t n;
    bool vacuum = true;
    PixelEdges edges;
    read_name(s, f);
    fitsfile_get_bool(&vacuum, f, "VACUUM");
    TRY(fitsfile_has(f, "COADD") ? fitsfile_goto(f, "COADD") : fitsfile_goto_number(f, 1));
    TRY(fitsfile_rows(&n, f));
    s->fits = false;
    if (!vacuum || n < 2 || n > PIXELS_MAX) return OK;
    TRY(arena_new(&flux, a, n));
    TRY(arena_new(&ivar, a, n));
    TRY(arena_new(&loglam, a, n));
    TRY(read_pixels(flux, f, "flux", n));
    TRY(read_pixels(ivar, f, "ivar", n));
    TRY(read_pixels(loglam, f, "loglam", n));
    s->finite = true;
    for (int64_t k = 0; k < n; k++) s->finite &= isfinite(flux[k]) && isfinite(ivar[k]);
    TRY(apply_mask(ivar, f, mask_bits, n, a));
    TRY(resample_edges(&edges, &s->fits, loglam, n, a));
    if (s->fits) resample(s->flux, s->ivar, GRID_PIXELS, GRID_START, GRID_STEP, &edges, flux, ivar);
    return OK;
}

static bool same_observation(const SdssName *name, int64_t targetid)
{
    SdssName wanted;
    return sdss_identity(&wanted, targetid) && wanted.plate == name->plate && wanted.mjd == name->mjd &&
           wanted.fiber == name->fiber;
}

static void give_rows(SpectrumBatch *out, int64_t at, const SpectraConfig *options, const Coadd *s, const char *path,
                      const CatalogRow *rows, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int32_t *flag = &out->flag[at + i];
        if (!same_observation(&s->name, rows[i].targetid)) {
            *flag = SPECTRUM_NO_ROW;
            log_rank("%s holds %lld-%lld-%lld, not TARGETID %lld: row flagged", path, (long long)s->name.plate,
                     (long long)s->name.mjd, (long long)s->name.fiber, (long long)rows[i].targetid);
        } else if (!s->fits) {
            *flag = SPECTRUM_BAD_GRID;
            log_rank("%s: loglam does not increase, or wavelengths are not those of vacuum: row flagged", path);
        } else {
            spectra_take(out, at + i, s->flux, s->ivar, options);
            if (!s->finite) *flag |= SPECTRUM_NONFINITE;
        }
    }
}

/* All rows of the request get one flag and no pixels. */
static void flag_all(SpectrumBatch *out, int64_t at, int64_t n, int32_t flag)
{
    for (int64_t i = at; i < at + n; i++) out->flag[i] = flag;
    memset(out->flux + at * GRID_PIXELS, 0, (size_t)(n * GRID_PIXELS) * sizeof *out->flux);
    memset(out->ivar + at * GRID_PIXELS, 0, (size_t)(n * GRID_PIXELS) * sizeof *out->ivar);
    memset(out->stats + at * N_SPECTRUM_STATS, 0, (size_t)(n * N_SPECTRUM_STATS) * sizeof *out->stats);
}

Status sdss_read_spectra(SpectrumBatch *out, int64_t at, const void *config, const SpectraConfig *options,
                         const char *path, const CatalogRow *rows, int64_t n, Arena *scratch)
{
    const SdssConfig *c = config;
    FitsFile f = {0};
    Coadd *coadd;
    char full[2 * FITS_PATH];
    MUST(at >= 0 && n >= 0 && at + n <= out->n);
    flag_all(out, at, n, SPECTRUM_NO_FILE);
    if (!survey_file(full, sizeof full, "", path)) {
        log_rank("%s is missing: %lld rows flagged", path, (long long)n);
        return OK;
    }
    Mark mark = arena_mark(scratch);
    Status st = arena_new(&coadd, scratch, 1);
    if (st == OK) st = desi_open(&f, full);
    if (st == OK) st = read_coadd(coadd, &f, c->mask_bits, scratch);
    if (st == OK) give_rows(out, at, options, coadd, full, rows, n);
    fitsfile_close(&f);
    arena_reset(scratch, mark);
    if (st == OK || st == E_MEMORY) return st;
    flag_all(out, at, n, SPECTRUM_UNREADABLE);
    log_rank("%s: %lld rows flagged", fail_record()->text, (long long)n);
    fail_clear();
    return OK;
}
