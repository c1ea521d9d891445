/* report_map.c - maps of the embeddings on a plane (probe/tsne.h), of images and of spectra, coloured by properties; that of images with
   the images themselves. Which objects: those whose TARGETIDs come first when they are shuffled. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "data/flags.h"
#include "data/release_rows.h"
#include "embed/embeddings.h"
#include "probe/cosine.h"
#include "probe/tsne.h"
#include "tables/objects.h"
#include "tables/picture.h"
#include "tables/plot.h"

enum { CHUNK = 1 << 14, CELLS = 18, CELL = 52, LEAST = 10 }; /* the mosaic: cells of a side, pixels of one */

static bool applies(const Report *r)
{
    return r->config->map_objects >= LEAST && report_has(r, "embeddings.h5") && report_has(r, "catalog.h5");
}

typedef struct {
    uint64_t turn;
    int64_t number;
} Drawn;

static int by_turn(const void *a, const void *b)
{
    const Drawn *x = a, *y = b;
    if (x->turn != y->turn) return x->turn < y->turn ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Rows with an embedding whose turn comes first; at most `most`. */
static Status draw_rows(Drawn *out, int64_t *n, int64_t most, Embeddings *e, Modality m, bool zero, Arena *a)
{
    const Mark mark = arena_mark(a);
    int64_t *id = NULL;
    int32_t *flag = NULL;
    *n = 0;
    TRY(arena_new(&id, a, CHUNK));
    TRY(arena_new(&flag, a, CHUNK));
    for (int64_t at = 0; at < e->n; at += CHUNK) {
        const int64_t here = e->n - at < CHUNK ? e->n - at : CHUNK;
        TRY(embeddings_read_targets(id, e, at, here));
        TRY(embeddings_read_flags(flag, e, m, at, here));
        for (int64_t i = 0; i < here; i++) {
            if (flags_fatal(m, flag[i], zero)) continue;
            out[(*n)++] = (Drawn){hash_mix((uint64_t)id[i]), at + i};
            if (*n < 2 * most) continue;
            qsort(out, (size_t)*n, sizeof *out, by_turn);
            *n = most;
        }
    }
    arena_reset(a, mark);
    qsort(out, (size_t)*n, sizeof *out, by_turn);
    if (*n > most) *n = most;
    return OK;
}

/* Objects on a map. */
typedef struct {
    int64_t n;
    CatalogRow *row;
    int64_t *number;
    double *map; /* (n, 2) */
} Map;

static Status make_map(Map *m, const Drawn *drawn, int64_t n, Catalog *c, Embeddings *e, Modality modality, Arena *a)
{
    const EmbeddingSet set = embedding_aligned[modality];
    const int64_t dim = e->dim[set];
    float *x = NULL;
    m->n = 0;
    TRY(arena_new(&m->row, a, n));
    TRY(arena_new(&m->number, a, n));
    TRY(arena_new(&m->map, a, 2 * n));
    const Mark mark = arena_mark(a);
    TRY(arena_new(&x, a, n * dim));
    for (int64_t i = 0; i < n; i++) {
        float *to = x + m->n * dim;
        const Mark inner = arena_mark(a);
        TRY(embeddings_read(to, e, set, drawn[i].number, 1));
        const double norm = cosine_norm(to, dim);
        if (norm == 0) continue;
        for (int64_t d = 0; d < dim; d++) to[d] = (float)(to[d] / norm);
        m->number[m->n] = drawn[i].number;
        TRY(catalog_read(&m->row[m->n++], c, drawn[i].number, 1, a));
        arena_reset(a, inner);
    }
    if (m->n >= LEAST) TRY(tsne_map(m->map, x, m->n, dim, 30, a));
    arena_reset(a, mark);
    return OK;
}

/* ---- in colours ---- */

static double colour_of(const CatalogRow *row) { return -2.5 * log10((double)row->flux[0] / row->flux[1]); }
static double magnitude_of(const CatalogRow *row) { return 22.5 - 2.5 * log10((double)row->flux[1]); }

static Status write_points(const Page *p, const Map *m, const char *name)
{
    FILE *f;
    TRY(plot_data(&f, p, name, "targetid,x,y,z,r,g_minus_r,logmstar,age,logz,logssfr"));
    for (int64_t i = 0; i < m->n; i++) {
        const CatalogRow *row = &m->row[i];
        const double value[] = {row->z,
                                magnitude_of(row),
                                colour_of(row),
                                row->label[LABEL_LOGMSTAR],
                                row->label[LABEL_AGE],
                                row->label[LABEL_LOGZ],
                                row->label[LABEL_LOGSSFR]};
        fprintf(f, "%" PRId64 ",%.4f,%.4f", row->targetid, m->map[2 * i], m->map[2 * i + 1]);
        for (size_t k = 0; k < sizeof value / sizeof *value; k++)
            fprintf(f, isfinite(value[k]) ? ",%.5g" : ",", value[k]);
        fputc('\n', f);
    }
    return plot_data_end(f, p, name);
}

static bool any_label(const Map *m, int label)
{
    for (int64_t i = 0; i < m->n; i++)
        if (isfinite(m->row[i].label[label])) return true;
    return false;
}

static Status draw_points(Page *p, const Map *m, Modality modality)
{
    static const struct {
        const char *name, *what;
        int column, label; /* -1 = needs none */
    } property[] = {{"z", "redshift", 4, -1},
                    {"r", "r magnitude", 5, -1},
                    {"colour", "g - r", 6, -1},
                    {"logmstar", "log stellar mass", 7, LABEL_LOGMSTAR},
                    {"age", "age", 8, LABEL_AGE},
                    {"logz", "log metallicity", 9, LABEL_LOGZ},
                    {"logssfr", "log specific star-formation rate", 10, LABEL_LOGSSFR}};
    static const char *const plural[N_MODALITIES] = {[MODALITY_IMAGE] = "images", [MODALITY_SPECTRUM] = "spectra"};
    const char *of = modality_name[modality];
    char data[64];
    snprintf(data, sizeof data, "map-%s", of);
    TRY(write_points(p, m, data));
    page_gallery(p);
    for (size_t k = 0; k < sizeof property / sizeof *property; k++) {
        char name[64], commands[1024], caption[128], alt[160];
        if (property[k].label >= 0 && !any_label(m, property[k].label)) continue;
        snprintf(name, sizeof name, "map-%s-%s", of, property[k].name);
        snprintf(
            commands, sizeof commands,
            "unset tics\nunset key\nset border 0\nunset grid\nset cbtics\nset cblabel '%s'\nset palette defined (0 "
            "'#4a3fb5', 0.25 '#1f7fd6', 0.5 '#14a08f', 0.75 '#b39b34', 1 '#e2611c')\nstats '%s.csv' skip 1 using %d "
            "nooutput name 'S'\n"
            "L=S_lo_quartile-1.5*(S_up_quartile-S_lo_quartile)\nH=S_up_quartile+1.5*(S_up_quartile-S_lo_quartile)\n"
            "set cbrange [(L<S_min?S_min:L):(H>S_max?S_max:H)]\n"
            "plot '%s.csv' skip 1 using 2:3:%d with points pt 7 ps 0.45 palette",
            property[k].what, data, property[k].column, data, property[k].column);
        snprintf(caption, sizeof caption, "Embeddings of %s by %s.", plural[modality], property[k].what);
        snprintf(alt, sizeof alt, "Map of the embeddings of %s, each object a point coloured by its %s",
                 plural[modality], property[k].what);
        TRY(plot_draw(p, name, data, PLOT_WIDTH, commands, caption, alt));
    }
    page_gallery_end(p);
    return OK;
}

/* ---- with pictures ---- */

/* Of each cell of the map the object nearest to its middle; -1 = the cell is empty. */
static void choose_cells(int64_t cell[CELLS * CELLS], const Map *m)
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY}, best[CELLS * CELLS];
    for (int64_t k = 0; k < 2 * m->n; k++)
        low[k % 2] = fmin(low[k % 2], m->map[k]), high[k % 2] = fmax(high[k % 2], m->map[k]);
    for (int k = 0; k < CELLS * CELLS; k++) cell[k] = -1, best[k] = INFINITY;
    for (int64_t i = 0; i < m->n; i++) {
        int at[2];
        double off = 0;
        for (int k = 0; k < 2; k++) {
            const double place = (m->map[2 * i + k] - low[k]) / (high[k] - low[k] + 1e-9) * CELLS;
            at[k] = (int)place;
            off += (place - at[k] - 0.5) * (place - at[k] - 0.5);
        }
        const int c = (CELLS - 1 - at[1]) * CELLS + at[0]; /* the first row on top */
        if (off < best[c]) best[c] = off, cell[c] = i;
    }
}

/* The picture of one object, from CUTOUT_PIXELS to CELL: areas averaged, of the inner two thirds. */
static void put_small(uint8_t *mosaic, int column, int line, const uint8_t *rgb)
{
    enum { INNER = 104, EDGE = (CUTOUT_PIXELS - INNER) / 2, STEP = INNER / CELL };
    for (int y = 0; y < CELL; y++)
        for (int x = 0; x < CELL; x++)
            for (int b = 0; b < 3; b++) {
                int sum = 0;
                for (int k = 0; k < STEP * STEP; k++)
                    sum += rgb[3 * ((EDGE + y * STEP + k / STEP) * CUTOUT_PIXELS + EDGE + x * STEP + k % STEP) + b];
                mosaic[3 * ((int64_t)(line * CELL + y) * CELLS * CELL + column * CELL + x) + b] =
                    (uint8_t)(sum / (STEP * STEP));
            }
}

static Status draw_mosaic(Page *p, const Report *r, const Map *m, Catalog *c)
{
    const int64_t pixels = (int64_t)N_BANDS * CUTOUT_PIXELS * CUTOUT_PIXELS, side = CELLS * CELL;
    const Mark mark = arena_mark(r->arena);
    int64_t cell[CELLS * CELLS], place[CELLS * CELLS], *order = NULL, n = 0;
    CatalogRow *row = NULL;
    ImageSource *source = NULL;
    ImageBatch batch;
    uint8_t *mosaic = NULL, *rgb = NULL;
    char path[1200];
    Status st = OK;
    choose_cells(cell, m);
    TRY(arena_new(&row, r->arena, CELLS * CELLS));
    TRY(arena_new(&order, r->arena, CELLS * CELLS));
    TRY(arena_new(&rgb, r->arena, 3 * CUTOUT_PIXELS * CUTOUT_PIXELS));
    TRY(arena_new(&mosaic, r->arena, 3 * side * side));
    for (int k = 0; k < CELLS * CELLS; k++) {
        if (cell[k] < 0) continue;
        place[n] = k;
        order[n] = n;
        row[n++] = m->row[cell[k]];
    }
    memset(mosaic, 24, (size_t)(3 * side * side));
    TRY_DONE(release_open_images(&source, r->release, &c->files, r->arena));
    TRY_DONE(images_batch(&batch, n, r->arena));
    TRY_DONE(release_read_images(&batch, order, n, row, source, r->release, r->images, r->arena));
    for (int64_t i = 0; i < n; i++) {
        if (flags_fatal(MODALITY_IMAGE, batch.flag[i], r->images->missing_band == MISSING_BAND_ZERO)) continue;
        TRY_DONE(picture_of_cutout(rgb, batch.pixels + i * pixels, CUTOUT_PIXELS, r->arena));
        put_small(mosaic, (int)(place[i] % CELLS), (int)(place[i] / CELLS), rgb);
    }
    snprintf(path, sizeof path, "%s/map-pictures.png", p->folder);
    TRY_DONE(picture_write(path, mosaic, side, side));
    page_figure(p, "map-pictures.png", (int)side, (int)side,
                "The same map as the first: of each place the image of one object there, 27 arcsec wide.",
                "Mosaic of galaxy images in the order of the map: similar galaxies lie together", "map-image.csv");
done:
    release_close_images(source, r->release);
    arena_reset(r->arena, mark);
    return st;
}

static Status write_modality(Page *p, const Report *r, Catalog *c, Embeddings *e, Modality modality)
{
    const EmbeddingSet set = embedding_aligned[modality];
    const bool zero = r->images->missing_band == MISSING_BAND_ZERO;
    const Mark mark = arena_mark(r->arena);
    Drawn *drawn = NULL;
    Map m;
    int64_t n;
    if (e->dim[set] == 0) return OK;
    TRY(arena_new(&drawn, r->arena, 2 * r->config->map_objects));
    TRY(draw_rows(drawn, &n, r->config->map_objects, e, modality, zero, r->arena));
    TRY(make_map(&m, drawn, n, c, e, modality, r->arena));
    if (m.n >= LEAST) {
        page_heading(p, 3, modality == MODALITY_IMAGE ? "Images" : "Spectra");
        page_text(p,
                  "%" PRId64
                  " objects; t-SNE of their embeddings divided by their lengths, perplexity 30. Axes mean nothing; "
                  "who is near whom does.",
                  m.n);
        TRY(draw_points(p, &m, modality));
        if (modality == MODALITY_IMAGE) TRY(draw_mosaic(p, r, &m, c));
    }
    arena_reset(r->arena, mark);
    return OK;
}

static Status write(Page *p, const Report *r)
{
    Catalog c = {0};
    Embeddings e = {0};
    char *path;
    Status st = OK;
    TRY(report_path(&path, r, "catalog.h5"));
    TRY_DONE(catalog_open(&c, path, NULL, r->arena));
    TRY_DONE(report_path(&path, r, "embeddings.h5"));
    TRY_DONE(embeddings_open(&e, path, NULL, r->arena));
    for (int m = 0; m < N_MODALITIES; m++) TRY_DONE(write_modality(p, r, &c, &e, (Modality)m));
done:
    embeddings_close(&e);
    catalog_close(&c);
    return st;
}

const ReportSection report_map = {"Maps of the embeddings", applies, write};
