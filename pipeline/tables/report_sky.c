/* report_sky.c - where the objects are: each as a point, in a Hammer projection where they spread over much of the sky, and which of
   them have an embedding of what. */
#include <inttypes.h>
#include <math.h>

#include "embed/embeddings.h"
#include "tables/plot.h"
#include "tables/report.h"

enum { MOST = 6000, CHUNK = 4096 };

static bool applies(const Report *r) { return report_has(r, "catalog.h5") && report_has(r, "embeddings.h5"); }

typedef struct {
    double ra, dec;
    int32_t flag[N_MODALITIES];
} Place;

/* At most MOST rows, evenly through the catalogue. */
static Status read_places(Place *out, int64_t *n, const Report *r, Catalog *c, Embeddings *e)
{
    const int64_t step = 1 + (c->n - 1) / MOST;
    CatalogRow *row = NULL;
    int32_t *flag[N_MODALITIES] = {NULL};
    *n = 0;
    TRY(arena_new(&row, r->arena, CHUNK));
    for (int m = 0; m < N_MODALITIES; m++) TRY(arena_new(&flag[m], r->arena, CHUNK));
    for (int64_t at = 0; at < c->n; at += CHUNK) {
        const int64_t here = c->n - at < CHUNK ? c->n - at : CHUNK;
        const Mark mark = arena_mark(r->arena);
        TRY(catalog_read(row, c, at, here, r->arena));
        for (int m = 0; m < N_MODALITIES; m++) TRY(embeddings_read_flags(flag[m], e, (Modality)m, at, here));
        arena_reset(r->arena, mark);
        for (int64_t i = 0; i < here; i++)
            if ((at + i) % step == 0 && isfinite(row[i].ra) && isfinite(row[i].dec))
                out[(*n)++] = (Place){row[i].ra, row[i].dec, {flag[0][i], flag[1][i]}};
    }
    return OK;
}

/* The turn of RA at which the objects lie together; *wide: they do not. */
static double middle_of(bool *wide, const Place *p, int64_t n)
{
    double x = 0, y = 0, most = 0;
    for (int64_t i = 0; i < n; i++) x += cos(p[i].ra * M_PI / 180), y += sin(p[i].ra * M_PI / 180);
    const double middle = atan2(y, x) * 180 / M_PI;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fmax(fabs(remainder(p[i].ra - middle, 360)), 0));
    *wide = most > 40;
    return *wide ? 180 : middle < 0 ? middle + 360 : middle;
}

/* Of RA and DEC around the middle, RA growing to the left. */
static void project(double *x, double *y, const Place *p, double middle, bool wide)
{
    const double turn = remainder(p->ra - middle, 360), half = turn * M_PI / 360, dec = p->dec * M_PI / 180;
    const double k = sqrt(1 + cos(dec) * cos(half));
    *x = wide ? -2 * sqrt(2) * cos(dec) * sin(half) / k : middle + turn;
    *y = wide ? sqrt(2) * sin(dec) / k : p->dec;
}

static Status write_grid(const Page *p)
{
    FILE *f;
    TRY(plot_data(&f, p, "sky-grid", "x,y"));
    for (int dec = -60; dec <= 60; dec += 30, fputc('\n', f))
        for (int ra = 0; ra <= 360; ra += 5) {
            double x, y;
            project(&x, &y, &(Place){.ra = ra == 0 ? 0.001 : ra == 360 ? 359.999 : ra, .dec = dec}, 180, true);
            fprintf(f, "%.4f,%.4f\n", x, y);
        }
    for (int ra = 0; ra <= 360; ra += 60, fputc('\n', f))
        for (int dec = -90; dec <= 90; dec += 5) {
            double x, y;
            project(&x, &y, &(Place){.ra = ra == 0 ? 0.001 : ra == 360 ? 359.999 : ra, .dec = dec}, 180, true);
            fprintf(f, "%.4f,%.4f\n", x, y);
        }
    return plot_data_end(f, p, "sky-grid");
}

static Status draw(Page *p, const Report *r, const Place *place, int64_t n)
{
    static const char *const class_name[] = {"both embeddings", "image alone", "spectrum alone", "none"};
    static const char *const colour[] = {"#2f6db3", "#e0a030", "#3f9d6b", "#b3402a"};
    const bool zero = r->images->missing_band == MISSING_BAND_ZERO;
    FILE *f;
    char commands[2048], caption[200];
    bool wide;
    const double middle = middle_of(&wide, place, n);
    int64_t count[4] = {0};
    TRY(plot_data(&f, p, "sky", "ra,dec,x,y,class"));
    for (int64_t i = 0; i < n; i++) {
        const bool image = !flags_fatal(MODALITY_IMAGE, place[i].flag[MODALITY_IMAGE], zero);
        const bool spectrum = !flags_fatal(MODALITY_SPECTRUM, place[i].flag[MODALITY_SPECTRUM], false);
        const int class = image ? (spectrum ? 0 : 1) : spectrum ? 2 : 3;
        double x, y;
        project(&x, &y, &place[i], middle, wide);
        fprintf(f, "%.5f,%.5f,%.5f,%.5f,%d\n", place[i].ra, place[i].dec, x, y, class);
        count[class]++;
    }
    TRY(plot_data_end(f, p, "sky"));
    if (wide) TRY(write_grid(p));
    size_t at = (size_t)snprintf(
        commands, sizeof commands, "%s",
        wide ? "unset border\nunset tics\nset size ratio 0.5\nset xrange [-2.9:2.9]\nset yrange [-1.5:1.5]\n"
               "plot 'sky-grid.csv' skip 1 using 1:2 with lines lc rgb '#c9d3de' notitle"
             : "set xlabel 'RA (deg)'\nset ylabel 'DEC (deg)'\nset xrange [*:*] reverse\nset xtics noenhanced\n"
               "set offsets graph 0.02, graph 0.02, graph 0.02, graph 0.02\nplot ");
    bool first = !wide;
    for (int k = 0; k < 4; k++) {
        if (count[k] == 0) continue;
        at += (size_t)
            snprintf(commands + at, sizeof commands - at,
                     "%s'sky.csv' skip 1 using ($5 == %d ? $3 : NaN):4 with points pt 7 ps %s lc rgb '%s' title '%s'",
                     first ? "" : ", ", k, n > 1500 ? "0.25" : "0.5", colour[k], class_name[k]);
        first = false;
    }
    snprintf(caption, sizeof caption, "%" PRId64 " objects of the catalogue on the sky, by what has an embedding%s.", n,
             wide ? " (Hammer projection around RA 180, grid every 60 and 30 degrees)" : "");
    return plot_draw(p, "sky", "sky", PLOT_WIDE, commands, caption,
                     "Map of the positions of objects, in colours by what has an embedding");
}

static Status write(Page *p, const Report *r)
{
    Catalog c = {0};
    Embeddings e = {0};
    Place *place = NULL;
    char *path;
    int64_t n;
    Status st = OK;
    TRY(report_path(&path, r, "catalog.h5"));
    TRY_DONE(catalog_open(&c, path, NULL, r->arena));
    TRY_DONE(report_path(&path, r, "embeddings.h5"));
    TRY_DONE(embeddings_open(&e, path, NULL, r->arena));
    if (e.n != c.n) TRY_DONE(FAIL(E_INPUT, "%s has other rows than catalog.h5: run `astroclip embed` again", path));
    TRY_DONE(arena_new(&place, r->arena, MOST + 1));
    TRY_DONE(read_places(place, &n, r, &c, &e));
    if (n > 0) TRY_DONE(draw(p, r, place, n));
done:
    embeddings_close(&e);
    catalog_close(&c);
    return st;
}

const ReportSection report_sky = {"On the sky", applies, write};
