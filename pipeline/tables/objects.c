/* objects.c - cutouts in colour, and spectra with the lines that their redshift puts there. */
#include "tables/objects.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/flags.h"
#include "data/release_rows.h"
#include "tables/lines.h"
#include "tables/picture.h"
#include "tables/plot.h"

enum {
    SMOOTH = 5,
    EDGE = 250,
    BIN = 10,
    THUMB = 104
}; /* pixels: half the width of the running mean, noisy ends, of traces */

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int64_t objects_find(const Objects *o, int64_t number)
{
    const int64_t *found = bsearch(&number, o->number, (size_t)o->n, sizeof number, by_number);
    return found ? found - o->number : -1;
}

static Status write_pictures(Objects *o, const Page *p, const Report *r, Catalog *c)
{
    const int64_t pixels = (int64_t)N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS;
    ImageSource *source = NULL;
    ImageBatch batch;
    int64_t *order = NULL;
    uint8_t *rgb = NULL;
    Status st = OK;
    TRY(arena_new(&order, r->arena, o->n));
    TRY(arena_new(&rgb, r->arena, 3 * CUTOUT_PIXELS * CUTOUT_PIXELS));
    for (int64_t i = 0; i < o->n; i++) order[i] = i;
    TRY_DONE(release_open_images(&source, r->release, &c->files, r->arena));
    TRY_DONE(images_batch(&batch, o->n, r->arena));
    TRY_DONE(release_read_images(&batch, order, o->n, o->row, source, r->release, r->images, r->arena));
    for (int64_t i = 0; i < o->n; i++) {
        char path[1200];
        o->has_image[i] = !flags_fatal(MODALITY_IMAGE, batch.flag[i], r->images->missing_band == MISSING_BAND_ZERO);
        if (!o->has_image[i]) continue;
        snprintf(path, sizeof path, "%s/image-%" PRId64 ".png", p->folder, o->number[i]);
        TRY_DONE(picture_of_cutout(rgb, batch.pixels + i * pixels, CUTOUT_PIXELS, r->arena));
        TRY_DONE(picture_write(path, rgb, CUTOUT_PIXELS, CUTOUT_PIXELS));
    }
done:
    release_close_images(source, r->release);
    return st;
}

static Status read_spectra(Objects *o, const Report *r, const Catalog *c)
{
    SpectrumBatch batch;
    FileRow *order = NULL;
    TRY(arena_new(&order, r->arena, o->n));
    for (int64_t i = 0; i < o->n; i++) order[i].row = i;
    TRY(release_order(order, o->n, o->row, r->release, &c->files));
    TRY(spectra_batch(&batch, o->n, r->arena));
    TRY(release_read_spectra(&batch, order, o->n, o->row, r->release, r->spectra, r->arena));
    for (int64_t k = 0; k < o->n; k++) { /* the batch is in the order of files */
        const int64_t i = order[k].row;
        if (!o->row[i].has_spectrum || flags_fatal(MODALITY_SPECTRUM, batch.flag[k], false)) continue;
        o->has_spectrum[i] = true;
        memcpy(o->flux + i * GRID_PIXELS, batch.flux + k * GRID_PIXELS, GRID_PIXELS * sizeof *o->flux);
        memcpy(o->ivar + i * GRID_PIXELS, batch.ivar + k * GRID_PIXELS, GRID_PIXELS * sizeof *o->ivar);
    }
    return OK;
}

Status objects_read(Objects *out, const Page *p, const Report *r, Catalog *c, const int64_t *number, int64_t n)
{
    *out = (Objects){0};
    TRY(arena_new(&out->number, r->arena, n));
    for (int64_t i = 0; i < n; i++)
        if (number[i] >= 0 && number[i] < c->n) out->number[out->n++] = number[i];
    qsort(out->number, (size_t)out->n, sizeof *out->number, by_number);
    n = out->n;
    out->n = 0;
    for (int64_t i = 0; i < n; i++)
        if (out->n == 0 || out->number[out->n - 1] != out->number[i]) out->number[out->n++] = out->number[i];
    TRY(arena_new(&out->row, r->arena, out->n));
    TRY(arena_new(&out->has_image, r->arena, out->n));
    TRY(arena_new(&out->has_spectrum, r->arena, out->n));
    TRY(arena_new(&out->flux, r->arena, out->n * GRID_PIXELS));
    TRY(arena_new(&out->ivar, r->arena, out->n * GRID_PIXELS));
    for (int64_t i = 0; i < out->n; i++) {
        const Mark mark = arena_mark(r->arena);
        TRY(catalog_read(&out->row[i], c, out->number[i], 1, r->arena));
        arena_reset(r->arena, mark);
    }
    if (out->n == 0) return OK;
    const Mark mark = arena_mark(r->arena);
    TRY(write_pictures(out, p, r, c));
    arena_reset(r->arena, mark);
    TRY(read_spectra(out, r, c));
    arena_reset(r->arena, mark);
    return OK;
}

RedshiftText objects_redshift(double z)
{
    RedshiftText t = {"no z"};
    if (isfinite(z)) snprintf(t.text, sizeof t.text, "z %.3f", z);
    return t;
}

void objects_thumb(Page *p, const Objects *o, int64_t place, const char *caption)
{
    char file[64], alt[160];
    if (place < 0 || !o->has_image[place]) {
        page_thumb(p, NULL, THUMB, caption, "");
        return;
    }
    snprintf(file, sizeof file, "image-%" PRId64 ".png", o->number[place]);
    snprintf(alt, sizeof alt, "Image of object %" PRId64, o->row[place].targetid);
    page_thumb(p, file, THUMB, caption, alt);
}

/* ---- spectra ---- */

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
    for (size_t i = 0; i < (size_t)N_LINES && at < size; i++) {
        const double w = line_table[i].rest * (1 + z);
        if (w < GRID_START || w > GRID_START + GRID_STEP * (GRID_PIXELS - 1)) continue;
        at += (size_t)snprintf(out + at, size - at,
                               "set arrow from %.1f, graph 0 to %.1f, graph 0.9 nohead lc rgb '#d8b4a8' back\n"
                               "set label '%s' at %.1f, graph %.3f center font ',11' tc rgb '#8a3a24'\n",
                               w, w, line_table[i].name, w, i % 2 ? 0.93 : 0.98);
    }
}

Status objects_spectrum(Page *p, const Objects *o, int64_t place)
{
    const CatalogRow *row = &o->row[place];
    const float *flux = o->flux + place * GRID_PIXELS, *ivar = o->ivar + place * GRID_PIXELS;
    char name[64], commands[4096], caption[160], alt[160];
    FILE *f;
    double low = 0, top = 0; /* of the smoothed spectrum, but for its noisy ends */
    snprintf(name, sizeof name, "spectrum-%" PRId64, o->number[place]);
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

/* ---- several spectra ---- */

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* Means of BIN pixels, from 0 (their 2 % quantile) to 1 (their 99 % one); NaN without information. */
static Status make_trace(float *out, int64_t n_bins, const float *flux, const float *ivar, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    float *sorted = NULL;
    int64_t n = 0;
    TRY(arena_new(&sorted, scratch, n_bins));
    for (int64_t b = 0; b < n_bins; b++) {
        double sum = 0, weight = 0;
        for (int64_t k = b * BIN; k < (b + 1) * BIN; k++) {
            if (!(ivar[k] > 0)) continue;
            sum += (double)flux[k] * ivar[k];
            weight += ivar[k];
        }
        out[b] = weight > 0 ? (float)(sum / weight) : NAN;
        if (weight > 0) sorted[n++] = out[b];
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    const float low = n ? sorted[n / 50] : 0, high = n ? sorted[n - 1 - n / 100] : 1;
    for (int64_t b = 0; b < n_bins; b++)
        out[b] = fminf(1.3f, fmaxf(-0.3f, high > low ? (out[b] - low) / (high - low) : 0 * out[b])); /* of NaN: -0.3 */
    arena_reset(scratch, mark);
    return OK;
}

/* Where the lines of a trace would be, from its foot upwards. */
static size_t mark_trace(char *out, size_t size, double z, double foot, bool names)
{
    size_t at = 0;
    for (size_t i = 0; i < (size_t)N_LINES && at + 200 < size; i++) {
        const double w = line_table[i].rest * (1 + z);
        if (!(w > GRID_START && w < GRID_START + GRID_STEP * (GRID_PIXELS - 1))) continue;
        at += (size_t)snprintf(out + at, size - at,
                               "set arrow from %.1f,%.2f to %.1f,%.2f nohead lc rgb '#d8b4a8' back\n", w, foot, w,
                               foot + 0.9);
        if (names)
            at += (size_t)snprintf(out + at, size - at,
                                   "set label '%s' at %.1f,%.2f center font ',10' tc rgb '#8a3a24'\n",
                                   line_table[i].name, w, foot + (i % 2 ? 1.12 : 1.32));
    }
    return at;
}

static Status write_traces(const Page *p, const char *name, const float *trace, int n, int64_t n_bins)
{
    FILE *f;
    char head[64 + 16 * MOST_TRACES] = "wavelength";
    for (int t = 0; t < n; t++) snprintf(head + strlen(head), 16, ",s%d", t);
    TRY(plot_data(&f, p, name, head));
    for (int64_t b = 0; b < n_bins; b++) {
        fprintf(f, "%.1f", GRID_START + GRID_STEP * ((double)b * BIN + 0.5 * (BIN - 1)));
        for (int t = 0; t < n; t++) fprintf(f, ",%.4f", trace[t * n_bins + b]);
        fputc('\n', f);
    }
    return plot_data_end(f, p, name);
}

Status objects_traces(Page *p, const Objects *o, const int64_t *place, const char (*label)[48], int n, const char *name,
                      const char *caption)
{
    enum { N_BINS = GRID_PIXELS / BIN, COMMANDS = 1 << 15 };
    static char commands[COMMANDS];
    float *trace = NULL;
    int shown = 0;
    size_t at = 0;
    Arena a = {0};
    Status st = OK;
    TRY(arena_init(&a, "traces", (size_t)16 << 20));
    TRY_DONE(arena_new(&trace, &a, MOST_TRACES * N_BINS));
    at += (size_t)snprintf(commands, COMMANDS,
                           "set xlabel 'observed wavelength (\303\205)'\nunset ytics\nset rmargin 24\nset "
                           "lmargin 3\nunset key\n");
    for (int t = 0; t < n && shown < MOST_TRACES; t++) {
        if (place[t] < 0 || !o->has_spectrum[place[t]]) continue;
        const CatalogRow *row = &o->row[place[t]];
        const double foot = -1.0 * shown;
        TRY_DONE(make_trace(trace + shown * N_BINS, N_BINS, o->flux + place[t] * GRID_PIXELS,
                            o->ivar + place[t] * GRID_PIXELS, &a));
        at += mark_trace(commands + at, COMMANDS - at - 2000, row->z, foot, shown == 0);
        at += (size_t)snprintf(commands + at, COMMANDS - at,
                               "set label '%s' at graph 1.01, first %.2f left noenhanced font ',11' tc rgb '#3a424b'\n",
                               label[t], foot + 0.4);
        shown++;
    }
    if (shown == 0) goto done;
    TRY_DONE(write_traces(p, name, trace, shown, N_BINS));
    at += (size_t)snprintf(commands + at, COMMANDS - at, "set xrange [3600:9830]\nset yrange [%.1f:1.6]\nplot ",
                           0.7 - shown);
    for (int t = 0; t < shown; t++)
        at += (size_t)snprintf(commands + at, COMMANDS - at,
                               "%s'%s.csv' skip 1 using 1:($%d > -0.3 ? $%d%+d : NaN) with lines lc rgb '%s'",
                               t ? ", " : "", name, t + 2, t + 2, -t, t ? "#2f6db3" : "#b3402a");
    st = plot_draw(p, name, name, PLOT_WIDE, commands, caption, caption);
done:
    arena_free(&a);
    return st;
}
