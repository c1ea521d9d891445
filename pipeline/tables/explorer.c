/* explorer.c - answers: who is there, who is like whom. Numbers come from files of ours and are written as JSON; nothing of a request
   ever becomes part of a path. */
#include "explorer_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "data/join.h"
#include "data/release_rows.h"
#include "probe/cosine.h"
#include "tables/lines.h"
#include "tables/picture.h"
#include "tables/search.h"

enum { MOST_SAMPLE = 100, BIN = 5 };

/* ---- answers ---- */

static void refuse(HttpAnswer *out, FILE *f, int status, const char *format, ...) __attribute__((format(printf, 4, 5)));
static void refuse(HttpAnswer *out, FILE *f, int status, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    out->status = status;
    fputs("{\"error\":", f);
    explorer_put_text(f, text);
    fputs("}\n", f);
}

/* A whole number, nothing around it; false where it is none. */
static bool whole(int64_t *out, const char *text)
{
    char *end;
    if (!text || !*text || strspn(text, "-0123456789") != strlen(text)) return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return !*end && errno == 0;
}

/* A number of the query within [low, high]; `preset` where it is left out. False: the answer says what is wrong. */
static bool take(int64_t *out, HttpAnswer *a, FILE *f, const HttpRequest *r, const char *name, int64_t preset,
                 int64_t low, int64_t high)
{
    const char *text = http_value(r, name);
    *out = preset;
    if (!text && preset >= low) return true;
    if (whole(out, text) && *out >= low && *out <= high) return true;
    refuse(a, f, 400, "%s wants a whole number from %" PRId64 " to %" PRId64, name, low, high);
    return false;
}

static bool take_row(int64_t *row, const Explorer *x, HttpAnswer *a, FILE *f, const HttpRequest *r)
{
    const char *text = http_value(r, "row");
    if (!whole(row, text)) {
        refuse(a, f, 400, "row wants a whole number");
        return false;
    }
    if (*row >= 0 && *row < x->n) return true;
    refuse(a, f, 404, "there is no row %" PRId64 ": the catalogue has %" PRId64, *row, x->n);
    return false;
}

static bool goes(const Explorer *x, const DirectionRow *d) { return x->norm[d->from] && x->norm[d->to]; }

static Status answer_run(HttpAnswer *out, FILE *f, const HttpRequest *r, Explorer *x)
{
    bool any = false;
    (void)out, (void)r;
    fprintf(f, "{\"rows\":%" PRId64 ",\"neighbours\":%" PRId64 ",\"specprod\":", x->n, x->config->neighbours);
    explorer_put_text(f, x->catalog->envelope.specprod);
    fputs(",\"images\":", f);
    explorer_put_text(f, x->catalog->envelope.image_release);
    fputs(",\"directions\":[", f);
    for (int d = 0; d < N_DIRECTIONS; d++) {
        if (!goes(x, &direction_table[d])) continue;
        fprintf(f, "%s\"%s\"", any ? "," : "", direction_table[d].name);
        any = true;
    }
    fputs("],\"labels\":[", f);
    for (int k = 0; k < N_LABELS; k++) {
        fprintf(f, "%s{\"name\":\"%s\",\"unit\":", k ? "," : "", label_table[k].name);
        explorer_put_text(f, label_table[k].unit);
        fputs(",\"meaning\":", f);
        explorer_put_text(f, label_table[k].meaning);
        fputc('}', f);
    }
    fputs("]}\n", f);
    return OK;
}

static Status put_rows(FILE *f, Explorer *x, const int64_t *row, int64_t n)
{
    fputs("{\"objects\":[", f);
    for (int64_t i = 0; i < n; i++) {
        fputs(i ? ",{" : "{", f);
        TRY(explorer_put_object(f, x, row[i]));
        fputc('}', f);
    }
    fputs("]}\n", f);
    return OK;
}

static Status answer_sample(HttpAnswer *out, FILE *f, const HttpRequest *r, Explorer *x)
{
    int64_t n, page;
    if (!take(&n, out, f, r, "n", 24, 1, MOST_SAMPLE) || !take(&page, out, f, r, "page", 0, 0, INT32_MAX)) return OK;
    const int64_t first = least(page * n, x->n);
    return put_rows(f, x, x->turn + first, least(n, x->n - first));
}

static Status answer_object(HttpAnswer *out, FILE *f, const HttpRequest *r, Explorer *x)
{
    enum { MOST = 32 };
    int64_t row[MOST], n = 0, id;
    if (http_value(r, "row")) return take_row(row, x, out, f, r) ? put_rows(f, x, row, 1) : OK;
    if (!whole(&id, http_value(r, "targetid"))) {
        refuse(out, f, 400, "targetid wants a whole number");
        return OK;
    }
    for (int64_t i = 0; i < x->n && n < MOST; i++)
        if (x->targetid[i] == id) row[n++] = i;
    if (n > 0) return put_rows(f, x, row, n);
    refuse(out, f, 404, "no object of the catalogue has TARGETID %" PRId64, id);
    return OK;
}

/* ---- the search ---- */

/* All rows against one query, exact; rows without an embedding have no direction and are passed over. */
static Status search(CosineSearch *s, Explorer *x, const DirectionRow *d, int64_t row, int64_t k, const int64_t *self)
{
    const int64_t dim = x->embeddings->dim[embedding_aligned[d->to]];
    float *query = NULL, *piece = NULL;
    int64_t *number = NULL;
    TRY(arena_new(&query, x->arena, dim));
    TRY(arena_new(&piece, x->arena, EXPLORER_PIECE * dim));
    TRY(arena_new(&number, x->arena, EXPLORER_PIECE));
    TRY(embeddings_read(query, x->embeddings, embedding_aligned[d->from], row, 1));
    TRY(cosine_open(s, k, dim, query, 1, x->arena));
    s->self = self;
    for (int64_t at = 0; at < x->n; at += EXPLORER_PIECE) {
        const int64_t n = least(EXPLORER_PIECE, x->n - at);
        const float *from = x->x[d->to] ? x->x[d->to] + at * dim : piece;
        if (!x->x[d->to]) TRY(embeddings_read(piece, x->embeddings, embedding_aligned[d->to], at, n));
        for (int64_t i = 0; i < n; i++) number[i] = at + i;
        cosine_add(s, from, x->norm[d->to] + at, x->targetid + at, number, n);
    }
    return OK;
}

static const DirectionRow *find_direction(const Explorer *x, const char *name)
{
    for (int d = 0; d < N_DIRECTIONS && name; d++)
        if (strcmp(direction_table[d].name, name) == 0 && goes(x, &direction_table[d])) return &direction_table[d];
    return NULL;
}

static Status answer_similar(HttpAnswer *out, FILE *f, const HttpRequest *r, Explorer *x)
{
    int64_t row, k;
    CosineSearch s;
    CatalogRow query, match;
    const DirectionRow *d = find_direction(x, http_value(r, "direction"));
    if (!take_row(&row, x, out, f, r) || !take(&k, out, f, r, "k", x->config->neighbours, 1, EXPLORER_NEIGHBOURS))
        return OK;
    if (!d) {
        refuse(out, f, 400, "direction wants one of those that /api/run lists");
        return OK;
    }
    if (x->norm[d->from][row] == 0) {
        refuse(out, f, 404, "row %" PRId64 " has no embedding of its %s", row, modality_name[d->from]);
        return OK;
    }
    const int64_t self = d->from == d->to ? row : -1;
    TRY(search(&s, x, d, row, k, &self));
    TRY(catalog_read(&query, x->catalog, row, 1, x->arena));
    fprintf(f, "{\"direction\":\"%s\",\"query\":{", d->name);
    TRY(explorer_put_object(f, x, row));
    fputs("},\"matches\":[", f);
    for (int64_t i = 0; i < s.found[0]; i++) {
        TRY(catalog_read(&match, x->catalog, s.best[i].row, 1, x->arena));
        fprintf(f, "%s{\"score\":", i ? "," : "");
        explorer_put_number(f, s.best[i].score);
        fputs(",\"separation\":", f);
        explorer_put_number(f, join_separation(query.ra, query.dec, match.ra, match.dec));
        fputc(',', f);
        TRY(explorer_put_object(f, x, s.best[i].row));
        fputc('}', f);
    }
    fputs("]}\n", f);
    return OK;
}

/* ---- pictures and spectra ---- */

static Status answer_image(HttpAnswer *out, Explorer *x, int64_t row)
{
    CatalogRow r;
    ImageBatch batch;
    const int64_t order = 0;
    uint8_t *rgb = NULL;
    TRY(catalog_read(&r, x->catalog, row, 1, x->arena));
    TRY(images_batch(&batch, 1, x->arena));
    TRY(release_read_images(&batch, &order, 1, &r, x->source, x->release, x->images, x->arena));
    if (flags_fatal(MODALITY_IMAGE, batch.flag[0], x->images->missing_band == MISSING_BAND_ZERO)) {
        out->status = 404;
        return OK;
    }
    TRY(arena_new(&rgb, x->arena, 3 * CUTOUT_PIXELS * CUTOUT_PIXELS));
    TRY(picture_of_cutout(rgb, batch.pixels, CUTOUT_PIXELS, x->arena));
    out->type = "image/png";
    return picture_encode((uint8_t **)&out->body, &out->bytes, rgb, CUTOUT_PIXELS, CUTOUT_PIXELS);
}

static Status answer_spectrum(HttpAnswer *out, FILE *f, const HttpRequest *r, Explorer *x)
{
    int64_t row;
    CatalogRow c;
    SpectrumBatch batch;
    FileRow order = {.row = 0};
    bool any = false;
    if (!take_row(&row, x, out, f, r)) return OK;
    TRY(catalog_read(&c, x->catalog, row, 1, x->arena));
    TRY(release_order(&order, 1, &c, x->release, &x->catalog->files));
    TRY(spectra_batch(&batch, 1, x->arena));
    TRY(release_read_spectra(&batch, &order, 1, &c, x->release, x->spectra, x->arena));
    if (!c.has_spectrum || flags_fatal(MODALITY_SPECTRUM, batch.flag[0], false)) {
        refuse(out, f, 404, "row %" PRId64 " has no spectrum that can be shown", row);
        return OK;
    }
    fprintf(f, "{\"start\":%.1f,\"step\":%.1f,\"flux\":[", GRID_START + GRID_STEP * (BIN - 1) / 2, GRID_STEP * BIN);
    for (int64_t b = 0; b < GRID_PIXELS / BIN; b++) {
        double sum = 0, weight = 0;
        for (int64_t k = b * BIN; k < (b + 1) * BIN; k++)
            if (batch.ivar[k] > 0) sum += (double)batch.flux[k] * batch.ivar[k], weight += batch.ivar[k];
        if (b) fputc(',', f);
        if (weight > 0)
            fprintf(f, "%.4g", sum / weight);
        else
            fputs("null", f);
    }
    fputs("],\"lines\":[", f);
    for (int i = 0; i < N_LINES && isfinite(c.z); i++) {
        const double at = line_table[i].rest * (1 + c.z);
        if (at < GRID_START || at > GRID_START + GRID_STEP * (GRID_PIXELS - 1)) continue;
        fputs(any ? ",{\"name\":" : "{\"name\":", f);
        explorer_put_text(f, line_table[i].name);
        fprintf(f, ",\"at\":%.1f}", at);
        any = true;
    }
    fputs("]}\n", f);
    return OK;
}

/* ---- paths ---- */

static const struct {
    const char *path;
    Status (*answer)(HttpAnswer *out, FILE *f, const HttpRequest *r, Explorer *x);
} routes[] = {{"/api/run", answer_run},         {"/api/sample", answer_sample},     {"/api/object", answer_object},
              {"/api/similar", answer_similar}, {"/api/spectrum", answer_spectrum}, {NULL, NULL}};

static const struct {
    const char *path, *type, *begin, *end;
} files[] = {{"/", "text/html; charset=utf-8", explorer_html, explorer_html_end},
             {"/explorer.js", "text/javascript; charset=utf-8", explorer_js, explorer_js_end},
             {"/explorer.css", "text/css; charset=utf-8", explorer_css, explorer_css_end},
             {NULL, NULL, NULL, NULL}};

/* "/image/12.png" -> 12 */
static bool image_row(int64_t *row, const char *path)
{
    static const char before[] = "/image/", after[] = ".png";
    const size_t n = strlen(path), head = sizeof before - 1, tail = sizeof after - 1;
    char number[24];
    if (n <= head + tail || n - head - tail >= sizeof number || strncmp(path, before, head) != 0 ||
        strcmp(path + n - tail, after) != 0)
        return false;
    snprintf(number, sizeof number, "%.*s", (int)(n - head - tail), path + head);
    return whole(row, number);
}

static Status answer_json(HttpAnswer *out, const HttpRequest *r, Explorer *x, int route)
{
    FILE *f = open_memstream((char **)&out->body, &out->bytes);
    if (!f) return FAIL(E_MEMORY, "no memory for an answer");
    Status st = OK;
    if (route >= 0)
        st = routes[route].answer(out, f, r, x);
    else
        refuse(out, f, 404, "there is nothing here");
    fclose(f);
    if (st == OK) return OK;
    free(out->body);
    return st;
}

Status explorer_answer(HttpAnswer *out, const HttpRequest *r, const char *path, void *context)
{
    Explorer *x = context;
    int64_t row = -1;
    int route = -1;
    *out = (HttpAnswer){.status = 200, .type = "application/json"};
    for (int i = 0; files[i].path; i++)
        if (strcmp(path, files[i].path) == 0) {
            *out = (HttpAnswer){200, files[i].type, (void *)(uintptr_t)files[i].begin,
                                (size_t)(files[i].end - files[i].begin), true};
            return OK;
        }
    Status st = OK;
    if (image_row(&row, path) && row >= 0 && row < x->n) {
        st = answer_image(out, x, row);
        if (st == OK && out->status == 404) st = answer_json(out, r, x, -1);
    } else {
        for (int i = 0; routes[i].path; i++)
            if (strcmp(path, routes[i].path) == 0) route = i;
        st = answer_json(out, r, x, route);
    }
    arena_reset(x->arena, (Mark){0});
    return st;
}
