/* report_galaxies.c - some galaxies of the catalogue: cutouts in colour, and spectra with the lines that their redshift
   puts there. Which ones follows from their TARGETIDs. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "tables/objects.h"

enum { SCAN_ROWS = 4096 };

typedef struct {
    CatalogRow row;
    int64_t number; /* of the row */
    uint64_t turn;  /* the smallest are chosen */
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
            const Chosen one = {.row = row[i], .number = first + i, .turn = hash_mix((uint64_t)row[i].targetid)};
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

static Status show_cutouts(Page *p, const Objects *o, const int64_t *place, int64_t n)
{
    page_text(p, "Cutouts of %d x %d pixels, %.0f arcsec wide, north up, east left; g, r, z on an arcsinh scale.",
              CUTOUT_PIXELS, CUTOUT_PIXELS, CUTOUT_PIXELS * PIXEL_SCALE);
    page_gallery(p);
    for (int64_t i = 0; i < n; i++) {
        char file[64], caption[128], alt[160];
        const CatalogRow *row = &o->row[place[i]];
        if (!o->has_image[place[i]]) continue;
        snprintf(file, sizeof file, "image-%" PRId64 ".png", o->number[place[i]]);
        snprintf(caption, sizeof caption, "z = %.3f, r = %.1f", row->z, 22.5 - 2.5 * log10(row->flux[1]));
        snprintf(alt, sizeof alt, "Image of galaxy %" PRId64 " at redshift %.3f", row->targetid, row->z);
        page_figure(p, file, CUTOUT_PIXELS, CUTOUT_PIXELS, caption, alt, NULL);
    }
    page_gallery_end(p);
    return OK;
}

static Status write(Page *p, const Report *r)
{
    Catalog c = {0};
    Chosen *chosen = NULL;
    Objects o;
    char *path;
    int64_t n = 0, *number = NULL;
    Status st = OK;
    TRY(report_path(&path, r, "catalog.h5"));
    TRY(arena_new(&chosen, r->arena, r->config->objects));
    TRY(arena_new(&number, r->arena, r->config->objects));
    TRY_DONE(catalog_open(&c, path, NULL, r->arena));
    TRY_DONE(choose(chosen, &n, r->config->objects, &c, r->arena));
    for (int64_t i = 0; i < n; i++) number[i] = chosen[i].number;
    if (n == 0) page_text(p, "No row of the catalogue has both an image and a spectrum.");
    TRY_DONE(objects_read(&o, p, r, &c, number, n));
    for (int64_t i = 0; i < n; i++) number[i] = objects_find(&o, number[i]); /* its place */
    if (n > 0) TRY_DONE(show_cutouts(p, &o, number, n));
    const int64_t wanted = n < r->config->spectra ? n : r->config->spectra;
    for (int64_t i = 0; i < wanted; i++) { /* from near to far */
        const int64_t place = number[i * n / wanted];
        if (o.has_spectrum[place]) TRY_DONE(objects_spectrum(p, &o, place));
    }
done:
    catalog_close(&c);
    return st;
}

const ReportSection report_galaxies = {"Galaxies", applies, write};
