/* join_objects.c - rows with spectra meet the objects of a stored image set: by TARGETID on the owners of TARGETIDs, then
   by position on the owners of sky pixels, where a row looks into each pixel that its circle touches. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "data/brick.h"
#include "data/healpix.h"
#include "data/join.h"

static int owner_of(uint64_t hash, const Par *par) { return (int)(hash % (uint64_t)par->n_ranks); }

static Status send(CatalogRow **out, int64_t *n_out, const CatalogRow *rows, int64_t n, const Par *par, Arena *a,
                   uint64_t (*key)(const CatalogRow *row))
{
    int *dest = NULL;
    Status st = arena_new(&dest, a, n);
    for (int64_t i = 0; st == OK && i < n; i++) dest[i] = owner_of(hash_mix(key(&rows[i])), par);
    TRY(par_agree(par, st));
    return par_exchange((void **)out, n_out, par, rows, dest, n, sizeof *rows, a);
}

static uint64_t key_target(const CatalogRow *row) { return (uint64_t)row->targetid; }
static uint64_t key_pixel(const CatalogRow *row) { return (uint64_t)(int64_t)row->healpix; }
static uint64_t key_place(const CatalogRow *row) { return (uint64_t)row->place; }

/* ---- by TARGETID ---- */

static int compare_targets(const void *a, const void *b)
{
    const CatalogRow *x = a, *y = b;
    if (x->targetid != y->targetid) return x->targetid < y->targetid ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Both are sorted by TARGETID and with the owners of their TARGETIDs. */
static void match_targets(CatalogRow *rows, int64_t n, const CatalogRow *object, int64_t n_objects)
{
    for (int64_t i = 0, k = 0; i < n; i++) {
        while (k < n_objects && object[k].targetid < rows[i].targetid) k++;
        bool found = k < n_objects && object[k].targetid == rows[i].targetid;
        rows[i].has_image = found;
        if (found) join_take(&rows[i], &object[k], MATCH_ID);
    }
}

/* ---- by position ---- */

/* A row that looks for an object in one pixel of the sky, and what it found. */
typedef struct {
    double ra, dec, distance; /* arcsec; -1 = nothing found */
    int64_t row;              /* at home */
    int32_t home, pixel;      /* rank, nside 64 nested */
    CatalogRow object;
} Question;

static int compare_place_in_sky(const void *a, const void *b)
{
    const CatalogRow *x = a, *y = b;
    if (x->healpix != y->healpix) return x->healpix < y->healpix ? -1 : 1;
    if (x->dec != y->dec) return x->dec < y->dec ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Pixels that the circle around a position touches: of the position itself and of eight points at its rim (pixels are
   fifty arc minutes wide, circles one at most). Returns how many. */
static int pixels_around(int32_t pixel[9], double ra, double dec, double arcsec)
{
    int n = 0;
    double r = arcsec / 3600, cosine = cos(dec * M_PI / 180);
    for (int k = -1; k < 8; k++) {
        double angle = k * M_PI / 4, d = k < 0 ? dec : dec + r * sin(angle);
        if (fabs(d) > 90) d = copysign(90, d);
        double step = k < 0 ? 0 : r * cos(angle) / (cosine > 1e-6 ? cosine : 1e-6);
        int32_t p = healpix_pixel(fmod(ra + step + 720, 360), d);
        bool known = p < 0;
        for (int i = 0; i < n; i++) known |= pixel[i] == p;
        if (!known) pixel[n++] = p;
    }
    return n;
}

/* Local. Questions of the rows that found nothing yet. */
static Status ask(Question **out, int64_t *n_out, int **dest, const CatalogRow *rows, int64_t n, double arcsec,
                  const Par *par, Arena *a)
{
    int64_t open = 0;
    int32_t pixel[9];
    for (int64_t i = 0; i < n; i++)
        if (!rows[i].has_image) open += pixels_around(pixel, rows[i].ra, rows[i].dec, arcsec);
    TRY(arena_new(out, a, open));
    TRY(arena_new(dest, a, open));
    *n_out = 0;
    for (int64_t i = 0; i < n; i++) {
        if (rows[i].has_image || !isfinite(rows[i].ra) || !isfinite(rows[i].dec)) continue;
        int count = pixels_around(pixel, rows[i].ra, rows[i].dec, arcsec);
        for (int p = 0; p < count; p++) {
            (*dest)[*n_out] = owner_of(hash_mix((uint64_t)(int64_t)pixel[p]), par);
            (*out)[(*n_out)++] = (Question){
                .ra = rows[i].ra, .dec = rows[i].dec, .distance = -1, .row = i, .home = par->rank, .pixel = pixel[p]};
        }
    }
    return OK;
}

/* First object of the pixel at or above this declination. */
static int64_t first_at(const CatalogRow *object, int64_t n, int32_t pixel, double dec)
{
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        const CatalogRow *o = &object[middle];
        if (o->healpix < pixel || (o->healpix == pixel && o->dec < dec))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Nearer, or as near and earlier in the files. */
static bool better(double distance, int64_t place, const Question *q)
{
    return q->distance < 0 || distance < q->distance || (distance == q->distance && place < q->object.place);
}

static void answer(Question *q, const CatalogRow *object, int64_t n, double arcsec)
{
    double reach = arcsec / 3600;
    for (int64_t k = first_at(object, n, q->pixel, q->dec - reach);
         k < n && object[k].healpix == q->pixel && object[k].dec <= q->dec + reach; k++) {
        double d = join_separation(q->ra, q->dec, object[k].ra, object[k].dec);
        if (!(d <= arcsec) || !better(d, object[k].place, q)) continue;
        q->distance = d;
        q->object = object[k];
    }
}

/* Collective. */
static Status match_positions(CatalogRow *rows, int64_t n, const CatalogRow *objects, int64_t n_objects, double arcsec,
                              const Par *par, Arena *a)
{
    Question *mine = NULL, *theirs = NULL, *back = NULL, *best = NULL;
    CatalogRow *object = NULL, *placed = NULL;
    int *dest = NULL;
    int64_t n_mine = 0, n_theirs = 0, n_back = 0, n_object = 0, n_placed = 0, found = 0;
    TRY(par_agree(par, arena_new(&placed, a, n_objects)));
    for (int64_t i = 0; i < n_objects; i++) {
        int32_t pixel = healpix_pixel(objects[i].ra, objects[i].dec);
        if (pixel < 0) continue; /* an object without a position is found by its TARGETID only */
        placed[n_placed] = objects[i];
        placed[n_placed++].healpix = pixel;
    }
    TRY(send(&object, &n_object, placed, n_placed, par, a, key_pixel));
    if (n_object > 0) qsort(object, (size_t)n_object, sizeof *object, compare_place_in_sky);
    TRY(par_agree(par, ask(&mine, &n_mine, &dest, rows, n, arcsec, par, a)));
    TRY(par_exchange((void **)&theirs, &n_theirs, par, mine, dest, n_mine, sizeof *theirs, a));
    Status st = arena_new(&dest, a, n_theirs);
    for (int64_t i = 0; st == OK && i < n_theirs; i++) {
        answer(&theirs[i], object, n_object, arcsec);
        if (theirs[i].distance < 0) continue;
        theirs[found] = theirs[i];
        dest[found] = theirs[found].home;
        found++;
    }
    TRY(par_agree(par, st));
    TRY(par_exchange((void **)&back, &n_back, par, theirs, dest, found, sizeof *back, a));
    TRY(par_agree(par, arena_new(&best, a, n)));
    for (int64_t i = 0; i < n; i++) best[i].distance = -1;
    for (int64_t i = 0; i < n_back; i++)
        if (better(back[i].distance, back[i].object.place, &best[back[i].row])) best[back[i].row] = back[i];
    for (int64_t i = 0; i < n; i++) {
        if (best[i].distance < 0) continue;
        rows[i].has_image = 1;
        join_take(&rows[i], &best[i].object, MATCH_POSITION);
    }
    return OK;
}

/* ---- what is left ---- */

static int compare_places(const void *a, const void *b)
{
    const CatalogRow *x = a, *y = b;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Collective. Objects whose place no row names; the others go to the rejects. */
static Status find_left(CatalogRow **left, int64_t *n_left, RejectList *rejects, const CatalogRow *rows, int64_t n,
                        const CatalogRow *objects, int64_t n_objects, const Par *par, Arena *scratch, Arena *a)
{
    CatalogRow *used = NULL, *taken = NULL;
    int64_t n_used = 0, n_taken = 0, kept = 0;
    Status st = arena_new(&used, scratch, n);
    for (int64_t i = 0; st == OK && i < n; i++)
        if (rows[i].has_image) {
            used[n_used] = rows[i];
            used[n_used++].place = ((int64_t)rows[i].image_file + 1) << 40 | (rows[i].image_row + 1);
        }
    TRY(par_agree(par, st));
    TRY(send(&taken, &n_taken, used, n_used, par, scratch, key_place));
    if (n_taken > 0) qsort(taken, (size_t)n_taken, sizeof *taken, compare_places);
    TRY(send(left, n_left, objects, n_objects, par, a, key_place));
    if (*n_left > 0) qsort(*left, (size_t)*n_left, sizeof **left, compare_places);
    for (int64_t i = 0, k = 0; i < *n_left; i++) {
        while (k < n_taken && taken[k].place < (*left)[i].place) k++;
        if (k < n_taken && taken[k].place == (*left)[i].place && st == OK)
            st = reject_add(rejects, &(*left)[i], REJECT_HAS_SPECTRUM);
        else
            (*left)[kept++] = (*left)[i];
    }
    *n_left = kept;
    return par_agree(par, st);
}

Status join_objects(CatalogRow *rows, int64_t n, CatalogRow **left, int64_t *n_left, RejectList *rejects,
                    const CatalogRow *objects, int64_t n_objects, double arcsec, const Par *par, Arena *scratch,
                    Arena *a)
{
    CatalogRow *object = NULL;
    int64_t n_object = 0;
    Mark mark = arena_mark(scratch);
    TRY(send(&object, &n_object, objects, n_objects, par, scratch, key_target));
    if (n_object > 0) qsort(object, (size_t)n_object, sizeof *object, compare_targets);
    match_targets(rows, n, object, n_object);
    if (arcsec > 0) TRY(match_positions(rows, n, objects, n_objects, arcsec, par, scratch));
    Status st = find_left(left, n_left, rejects, rows, n, objects, n_objects, par, scratch, a);
    arena_reset(scratch, mark);
    return st;
}

/* ---- one object, two rows ---- */

/* What the photometry of a row calls it: the TARGETID of an image-only row of the same release. */
static uint64_t key_photometry(const CatalogRow *row)
{
    bool matched = row->has_spectrum && row->match != MATCH_NONE;
    return (uint64_t)(matched ? brick_targetid(row->release, row->brickid, row->brick_objid) : row->targetid);
}

static int compare_photometry(const void *a, const void *b)
{
    const CatalogRow *x = a, *y = b;
    int64_t i = (int64_t)key_photometry(x), k = (int64_t)key_photometry(y);
    if (i != k) return i < k ? -1 : 1;
    if (x->has_spectrum != y->has_spectrum) return x->has_spectrum ? -1 : 1;
    return catalog_compare(a, b);
}

Status join_same_objects(CatalogRow **out, int64_t *n_out, RejectList *rejects, const CatalogRow *rows, int64_t n,
                         const Par *par, Arena *a)
{
    int64_t kept = 0;
    bool taken = false; /* a row with a spectrum has this key */
    uint64_t key = 0;
    Status st = OK;
    TRY(send(out, n_out, rows, n, par, a, key_photometry));
    if (*n_out > 0) qsort(*out, (size_t)*n_out, sizeof **out, compare_photometry);
    for (int64_t i = 0; i < *n_out && st == OK; i++) {
        const CatalogRow *row = &(*out)[i];
        if (i == 0 || key_photometry(row) != key) taken = false;
        const bool spectrum = row->has_spectrum; /* read before the row is moved over */
        key = key_photometry(row);
        if (taken && !row->has_spectrum)
            st = reject_add(rejects, row, REJECT_HAS_SPECTRUM);
        else
            (*out)[kept++] = *row;
        taken |= spectrum;
    }
    *n_out = kept;
    return par_agree(par, st);
}
