/* report_galaxies.c - some galaxies of the catalogue: cutouts in colour, and spectra with the lines that their redshift
   puts there. Which ones follows from their TARGETIDs. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "data/flags.h"
#include "data/release_rows.h"
#include "tables/picture.h"
#include "tables/plot.h"
#include "tables/report.h"

enum { SCAN_ROWS = 4096, SMOOTH = 5, EDGE = 250 }; /* pixels: half the width of the running mean, noisy ends */

typedef struct {
    CatalogRow row;
    uint64_t turn; /* the smallest are chosen */
} Chosen;

static bool applies(const Report *r) { return r->config->objects > 0 && report_has(r, "catalog.h5"); }

static int by_turn(const void *a, const void *b)
{
    const Chosen *x = a, *y = b;
    return x->turn < y->turn ? -1 : x->turn > y->turn;
}

static int by_redshift(const void *a, const void *b)
{
    const Chosen *x = a, *y = b;
    if (x->row.z != y->row.z) return x->row.z < y->row.z ? -1 : 1;
    return by_turn(a, b);
}

/* A galaxy that several programs observed is shown once. */
static bool is_there(const Chosen *chosen, int64_t n, uint64_t turn)
{
    for (int64_t i = 0; i < n; i++)
        if (chosen[i].turn == turn) return true;
    return false;
}

/* The rows with an image and a spectrum whose turn comes first, then in the order of redshift. */
static Status choose(Chosen *out, int64_t *n, int64_t most, Catalog *c, Arena *a)
{
    CatalogRow *row = NULL;
    const Mark mark = arena_mark(a);
    *n = 0;
    TRY(arena_new(&row, a, SCAN_ROWS));
    for (int64_t first = 0; first < c->n; first += SCAN_ROWS) {
        const int64_t here = c->n - first < SCAN_ROWS ? c->n - first : SCAN_ROWS;
        const Mark inner = arena_mark(a);
        TRY(catalog_read(row, c, first, here, a));
        for (int64_t i = 0; i < here; i++) {
            if (!row[i].has_image || !row[i].has_spectrum) continue;
            const Chosen one = {.row = row[i], .turn = hash_mix((uint64_t)row[i].targetid)};
            if (*n == most && one.turn >= out[most - 1].turn) continue;
            if (is_there(out, *n, one.turn)) continue;
            out[*n < most ? (*n)++ : most - 1] = one;
            qsort(out, (size_t)*n, sizeof *out, by_turn);
        }
        arena_reset(a, inner);
    }
    arena_reset(a, mark);
    qsort(out, (size_t)*n, sizeof *out, by_redshift);
    return OK;
}

/* ---- cutouts ---- */

static Status show_cutouts(Page *p, const Chosen *chosen, int64_t n, const Report *r, Catalog *c)
{
    ImageSource *source = NULL;
    ImageBatch batch;
    CatalogRow *row = NULL;
    int64_t *order = NULL;
    uint8_t *rgb = NULL;
    Status st = OK;
    TRY(arena_new(&row, r->arena, n));
    TRY(arena_new(&order, r->arena, n));
    TRY(arena_new(&rgb, r->arena, 3 * CUTOUT_PIXELS * CUTOUT_PIXELS));
    for (int64_t i = 0; i < n; i++) {
        row[i] = chosen[i].row;
        order[i] = i;
    }
    TRY_DONE(release_open_images(&source, r->release, &c->files, r->arena));
    TRY_DONE(images_batch(&batch, n, r->arena));
    TRY_DONE(release_read_images(&batch, order, n, row, source, r->release, r->images, r->arena));
    page_text(p, "Cutouts of %d x %d pixels, %.0f arcsec wide, north up, east left; g, r, z on an arcsinh scale.",
              CUTOUT_PIXELS, CUTOUT_PIXELS, CUTOUT_PIXELS * PIXEL_SCALE);
    page_gallery(p);
    for (int64_t i = 0; i < n; i++) {
        char name[64], path[1200], caption[128], alt[160];
        snprintf(name, sizeof name, "image-%" PRId64 ".png", row[i].targetid);
        snprintf(path, sizeof path, "%s/%s", p->folder, name);
        if (flags_fatal(MODALITY_IMAGE, batch.flag[i], r->images->missing_band == MISSING_BAND_ZERO)) continue;
        TRY_DONE(picture_of_cutout(rgb, batch.pixels + i * N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS, CUTOUT_PIXELS,
                                   r->arena));
        TRY_DONE(picture_write(path, rgb, CUTOUT_PIXELS, CUTOUT_PIXELS));
        snprintf(caption, sizeof caption, "z = %.3f, r = %.1f", row[i].z, 22.5 - 2.5 * log10(row[i].flux[1]));
        snprintf(alt, sizeof alt, "Image of galaxy %" PRId64 " at redshift %.3f", row[i].targetid, row[i].z);
        page_figure(p, name, CUTOUT_PIXELS, CUTOUT_PIXELS, caption, alt, NULL);
    }
    page_gallery_end(p);
done:
    release_close_images(source, r->release);
    return st;
}

/* ---- spectra ---- */

/* Vacuum wavelengths at rest, Angstrom; Greek letters in UTF-8. */
static const struct {
    const char *name;
    double rest;
} lines[] = {{"[OII]", 3728.5}, {"K", 3934.8},         {"H", 3969.6},      {"H\316\264", 4102.9},
             {"G", 4305.6},     {"H\316\262", 4862.7}, {"[OIII]", 5008.2}, {"Mg", 5176.6},
             {"Na", 5895.6},    {"H\316\261", 6564.6}, {"[SII]", 6725.5}};

static float smooth_at(const float *flux, const float *ivar, int64_t k)
{
    double sum = 0, weight = 0;
    for (int64_t j = k - SMOOTH; j <= k + SMOOTH; j++) {
        if (j < 0 || j >= GRID_PIXELS || !(ivar[j] > 0)) continue;
        sum += (double)flux[j] * ivar[j];
        weight += ivar[j];
    }
    return weight > 0 ? (float)(sum / weight) : NAN;
}

/* Commands that mark the lines within the spectrum; names in turn at two heights, so that close ones can be read. */
static void mark_lines(char *out, size_t size, double z)
{
    size_t at = 0;
    for (size_t i = 0; i < sizeof lines / sizeof *lines && at < size; i++) {
        const double w = lines[i].rest * (1 + z);
        if (w < GRID_START || w > GRID_START + GRID_STEP * (GRID_PIXELS - 1)) continue;
        at += (size_t)snprintf(out + at, size - at,
                               "set arrow from %.1f, graph 0 to %.1f, graph 0.9 nohead lc rgb '#d8b4a8' back\n"
                               "set label '%s' at %.1f, graph %.3f center font ',11' tc rgb '#8a3a24'\n",
                               w, w, lines[i].name, w, i % 2 ? 0.93 : 0.98);
    }
}

static Status show_spectrum(Page *p, const CatalogRow *row, const float *flux, const float *ivar)
{
    char name[64], commands[4096], caption[160], alt[160];
    FILE *f;
    double low = 0, top = 0; /* of the smoothed spectrum, but for its noisy ends */
    snprintf(name, sizeof name, "spectrum-%" PRId64, row->targetid);
    TRY(plot_data(&f, p, name, "wavelength,flux,error,smoothed"));
    for (int64_t k = 0; k < GRID_PIXELS; k++) {
        const float smooth = smooth_at(flux, ivar, k);
        if (k > EDGE && k < GRID_PIXELS - EDGE) {
            low = fmin(low, smooth); /* of a number and NaN: the number */
            top = fmax(top, smooth);
        }
        fprintf(f, "%.1f,", GRID_START + GRID_STEP * (double)k);
        if (ivar[k] > 0)
            fprintf(f, "%.4g,%.4g,", flux[k], 1 / sqrt((double)ivar[k]));
        else
            fputs(",,", f);
        if (isfinite(smooth)) fprintf(f, "%.4g", smooth);
        fputc('\n', f);
    }
    TRY(plot_data_end(f, p, name));
    if (!(top > low)) top = low + 1;
    mark_lines(commands, sizeof commands - 800, row->z);
    snprintf(
        commands + strlen(commands), 800,
        "set xlabel 'observed wavelength (\303\205)'\nset ylabel 'flux (10^{-17} erg s^{-1} cm^{-2} \303\205^{-1})'\n"
        "set xrange [3550:9900]\nset yrange [%.4g:%.4g]\n"
        "plot '%s.csv' skip 1 using 1:2 with lines lc rgb '#c9d3de' title 'pixels', "
        "'' skip 1 using 1:3 with lines lc rgb '#e0b050' title 'error', "
        "'' skip 1 using 1:4 with lines lw 1.2 lc rgb '#1d3f72' title 'mean of %d pixels'",
        low - 0.1 * (top - low), top + 0.25 * (top - low), name, 2 * SMOOTH + 1);
    snprintf(caption, sizeof caption, "TARGETID %" PRId64 ", z = %.4f, %s %s.", row->targetid, row->z, row->survey,
             row->program);
    snprintf(alt, sizeof alt, "Spectrum of galaxy %" PRId64 " at redshift %.3f with its lines marked", row->targetid,
             row->z);
    return plot_draw(p, name, name, PLOT_WIDE, commands, caption, alt);
}

static Status show_spectra(Page *p, const Chosen *chosen, int64_t n, const Report *r, const Catalog *c)
{
    SpectrumBatch batch;
    FileRow *order = NULL;
    CatalogRow *row = NULL;
    const int64_t wanted = n < r->config->spectra ? n : r->config->spectra;
    if (wanted == 0) return OK;
    TRY(arena_new(&row, r->arena, wanted));
    TRY(arena_new(&order, r->arena, wanted));
    for (int64_t i = 0; i < wanted; i++) {
        row[i] = chosen[i * n / wanted].row; /* from near to far */
        order[i].row = i;
    }
    TRY(release_order(order, wanted, row, r->release, &c->files));
    TRY(spectra_batch(&batch, wanted, r->arena));
    TRY(release_read_spectra(&batch, order, wanted, row, r->release, r->spectra, r->arena));
    for (int64_t i = 0; i < wanted; i++)
        for (int64_t k = 0; k < wanted; k++) { /* the batch is in the order of files */
            if (order[k].row != i || flags_fatal(MODALITY_SPECTRUM, batch.flag[k], false)) continue;
            TRY(show_spectrum(p, &row[i], batch.flux + k * GRID_PIXELS, batch.ivar + k * GRID_PIXELS));
        }
    return OK;
}

static Status write(Page *p, const Report *r)
{
    Catalog c = {0};
    Chosen *chosen = NULL;
    char *path;
    int64_t n = 0;
    Status st = OK;
    TRY(report_path(&path, r, "catalog.h5"));
    TRY(arena_new(&chosen, r->arena, r->config->objects));
    TRY_DONE(catalog_open(&c, path, NULL, r->arena));
    TRY_DONE(choose(chosen, &n, r->config->objects, &c, r->arena));
    if (n == 0) page_text(p, "No row of the catalogue has both an image and a spectrum.");
    if (n > 0) TRY_DONE(show_cutouts(p, chosen, n, r, &c));
    if (n > 0) TRY_DONE(show_spectra(p, chosen, n, r, &c));
done:
    catalog_close(&c);
    return st;
}

const ReportSection report_galaxies = {"Galaxies", applies, write};
