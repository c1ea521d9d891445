/* join.c - the distributed joins of the catalogue. Every join is the same three steps: choose an owner for each row by
   a hash of what is joined on, exchange, and match locally on sorted rows. */
#include "data/join.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

static int owner_of(uint64_t hash, const Par *par) { return (int)(hash % (uint64_t)par->n_ranks); }

/* ---- duplicates ---- */

static int compare_key(const CatalogRow *x, const CatalogRow *y)
{
    if (x->targetid != y->targetid) return x->targetid < y->targetid ? -1 : 1;
    int order = memcmp(x->survey, y->survey, sizeof x->survey);
    return order ? order : memcmp(x->program, y->program, sizeof x->program);
}

static int compare_key_quality(const void *a, const void *b)
{
    int order = compare_key(a, b);
    return order ? order : cuts_compare_quality(a, b);
}

/* Sorted rows without those that repeat a key. */
static Status drop_duplicates(CatalogRow *row, int64_t *n, RejectList *rejects)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < *n; i++) {
        if (kept > 0 && compare_key(&row[kept - 1], &row[i]) == 0)
            TRY(reject_add(rejects, &row[i], REJECT_DUPLICATE));
        else
            row[kept++] = row[i];
    }
    *n = kept;
    return OK;
}

/* The rows of one TARGETID: which is primary, where that is unknown, and whether any has a spectrum. */
static bool choose_primary(CatalogRow *row, int64_t n)
{
    int64_t best = 0;
    bool spectrum = false;
    for (int64_t i = 0; i < n; i++) {
        spectrum |= row[i].has_spectrum;
        if (cuts_compare_quality(&row[i], &row[best]) < 0) best = i;
    }
    for (int64_t i = 0; i < n; i++)
        if (row[i].zcat_primary == PRIMARY_UNKNOWN) row[i].zcat_primary = i == best;
    return spectrum;
}

/* Sorted rows, TARGETID by TARGETID. */
static Status settle_targets(CatalogRow *row, int64_t *n, RejectList *rejects, bool primary_only)
{
    int64_t kept = 0;
    for (int64_t first = 0, next; first < *n; first = next) {
        for (next = first + 1; next < *n && row[next].targetid == row[first].targetid;) next++;
        bool spectrum = choose_primary(row + first, next - first);
        for (int64_t i = first; i < next; i++) {
            if (spectrum && !row[i].has_spectrum)
                TRY(reject_add(rejects, &row[i], REJECT_HAS_SPECTRUM));
            else if (primary_only && !row[i].zcat_primary)
                TRY(reject_add(rejects, &row[i], REJECT_NOT_PRIMARY));
            else
                row[kept++] = row[i];
        }
    }
    *n = kept;
    return OK;
}

Status join_unique(CatalogRow **out, int64_t *n_out, RejectList *rejects, bool primary_only, const CatalogRow *rows,
                   int64_t n, const Par *par, Arena *a)
{
    int *dest = NULL;
    Status st = arena_new(&dest, a, n);
    for (int64_t i = 0; st == OK && i < n; i++) dest[i] = owner_of(hash_mix((uint64_t)rows[i].targetid), par);
    TRY(par_agree(par, st));
    TRY(par_exchange((void **)out, n_out, par, rows, dest, n, sizeof **out, a));
    if (*n_out > 0) qsort(*out, (size_t)*n_out, sizeof **out, compare_key_quality);
    st = drop_duplicates(*out, n_out, rejects);
    if (st == OK) st = settle_targets(*out, n_out, rejects, primary_only);
    return par_agree(par, st);
}

/* ---- labels ---- */

static int compare_labels(const void *a, const void *b)
{
    const LabelEntry *x = a, *y = b;
    if (x->targetid != y->targetid) return x->targetid < y->targetid ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Both sorted by TARGETID: one walk through them. The first entry of a TARGETID counts. */
static void merge_labels(CatalogRow *rows, int64_t n, const LabelEntry *entry, int64_t n_entries)
{
    for (int64_t i = 0, k = 0; i < n; i++) {
        CatalogRow *r = &rows[i];
        while (k < n_entries && entry[k].targetid < r->targetid) k++;
        bool found = k < n_entries && entry[k].targetid == r->targetid;
        for (int l = 0; l < N_LABELS; l++) r->label[l] = found ? entry[k].label[l] : NAN;
        if (isnan(r->label[LABEL_Z]) && r->zwarn == 0 && isfinite(r->z)) r->label[LABEL_Z] = r->z;
    }
}

Status join_labels(CatalogRow *rows, int64_t n, const LabelEntry *labels, int64_t n_labels, const Par *par,
                   Arena *scratch)
{
    int *dest = NULL;
    LabelEntry *mine = NULL;
    int64_t n_mine = 0;
    Mark mark = arena_mark(scratch);
    Status st = arena_new(&dest, scratch, n_labels);
    for (int64_t i = 0; st == OK && i < n_labels; i++) dest[i] = owner_of(hash_mix((uint64_t)labels[i].targetid), par);
    TRY(par_agree(par, st));
    TRY(par_exchange((void **)&mine, &n_mine, par, labels, dest, n_labels, sizeof *mine, scratch));
    if (n_mine > 0) qsort(mine, (size_t)n_mine, sizeof *mine, compare_labels);
    merge_labels(rows, n, mine, n_mine);
    arena_reset(scratch, mark);
    return OK;
}

Status join_label_file(CatalogRow *rows, int64_t n, LabelCounts *counts, const char *path, const LabelsConfig *c,
                       const Par *par, Arena *scratch)
{
    LabelEntry *entry = NULL;
    int64_t n_entries = 0;
    Mark mark = arena_mark(scratch);
    *counts = (LabelCounts){0};
    Status st = path ? labels_read(&entry, &n_entries, counts, path, c, par->rank, par->n_ranks, scratch) : OK;
    TRY(par_agree(par, st));
    par_sum_i64(par, (int64_t *)(void *)counts, (int64_t)(sizeof *counts / sizeof(int64_t)));
    TRY(join_labels(rows, n, entry, n_entries, par, scratch));
    arena_reset(scratch, mark);
    return OK;
}

/* ---- matching one row with one brick ---- */

double join_separation(double ra1, double dec1, double ra2, double dec2)
{
    const double degree = M_PI / 180;
    double s = sin((dec2 - dec1) * degree / 2), t = sin((ra2 - ra1) * degree / 2);
    double h = s * s + cos(dec1 * degree) * cos(dec2 * degree) * t * t; /* haversine: exact at small angles */
    return 2 * asin(sqrt(h > 1 ? 1 : h)) / degree * 3600;
}

int64_t join_match(Match *how, const CatalogRow *row, const CatalogRow *table, int64_t n_table, double arcsec)
{
    *how = MATCH_ID;
    for (int64_t i = 0; row->release > 0 && i < n_table; i++)
        if (table[i].release == row->release && table[i].brickid == row->brickid &&
            table[i].brick_objid == row->brick_objid)
            return i;
    int64_t nearest = -1;
    double least = arcsec;
    for (int64_t i = 0; arcsec > 0 && i < n_table; i++) {
        if (!(fabs(table[i].dec - row->dec) * 3600 <= arcsec)) continue; /* most rows end here; NaN too */
        double d = join_separation(row->ra, row->dec, table[i].ra, table[i].dec);
        if (!(d <= least)) continue;
        if (nearest >= 0 && d == least && table[i].brick_objid >= table[nearest].brick_objid) continue;
        nearest = i;
        least = d;
    }
    *how = nearest >= 0 ? MATCH_POSITION : MATCH_NONE;
    return nearest;
}

void join_take(CatalogRow *row, const CatalogRow *from, Match how)
{
    row->match = (uint8_t)how;
    row->release = from->release;
    row->brickid = from->brickid;
    row->brick_objid = from->brick_objid;
    if (from->brickname[0]) memcpy(row->brickname, from->brickname, sizeof row->brickname);
    memcpy(row->flux, from->flux, sizeof row->flux);
    row->ebv = from->ebv;
    if (from->photsys) row->photsys = from->photsys;
    memcpy(row->morphtype, from->morphtype, sizeof row->morphtype);
    row->maskbits = from->maskbits;
    if (!isnan(from->z_phot)) {
        row->z_phot = from->z_phot;
        row->z_phot_std = from->z_phot_std;
    }
    row->image_file = from->image_file;
    row->image_row = from->image_row;
}

/* ---- photometry of all rows ---- */

/* A row's file by its hash: rows of one file become neighbours. */
typedef struct {
    uint64_t file;
    int64_t row;
} FileRow;

static int compare_files(const void *a, const void *b)
{
    const FileRow *x = a, *y = b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static bool on_sky(const CatalogRow *row) { return isfinite(row->ra) && isfinite(row->dec) && fabs(row->dec) <= 90; }

/* Files of bricks that were asked for lately: to find one may take looks at the disk. */
enum { RECENT_BRICKS = 1 << 14 };
typedef struct {
    uint64_t brick, file; /* hashes; brick 0 = none yet */
} RecentBrick;

/* Brick and photometry file of a row; "" where its position is none. */
static Status find_file(char *path, size_t size, CatalogRow *row, const Photometry *p)
{
    path[0] = '\0';
    if (!on_sky(row)) return OK;
    if (!row->brickname[0] || row->brickid == 0) TRY(p->survey->locate(row, p->config));
    return p->survey->photometry_file(path, size, p->config, row);
}

/* Hash of that file's path, 0 where there is none. A file follows from what a row says of its brick and from the brick
   of its position. */
static Status find_file_hash(uint64_t *hash, RecentBrick *recent, CatalogRow *row, const Photometry *p)
{
    char path[FITS_PATH];
    *hash = 0;
    if (!on_sky(row)) return OK;
    if (!row->brickname[0] || row->brickid == 0) TRY(p->survey->locate(row, p->config));
    CatalogRow place = *row;
    memset(place.brickname, 0, sizeof place.brickname);
    TRY(p->survey->locate(&place, p->config));
    char brick[2 * sizeof row->brickname + 1];
    memcpy(brick, row->brickname, sizeof row->brickname);
    memcpy(brick + sizeof row->brickname, place.brickname, sizeof place.brickname);
    brick[sizeof brick - 1] = row->photsys;
    uint64_t key = hash_bytes(brick, sizeof brick);
    RecentBrick *found = &recent[key % RECENT_BRICKS];
    if (found->brick != key) {
        TRY(find_file(path, sizeof path, row, p));
        *found = (RecentBrick){key, path[0] ? hash_bytes(path, strlen(path)) : 0};
    }
    *hash = found->file;
    return OK;
}

/* The rows of one file, one after the other in `item`. */
static Status match_file(CatalogRow *rows, const FileRow *item, int64_t n, const char *path, Photometry *p,
                         Arena *scratch)
{
    CatalogRow *table;
    int64_t n_table, n_file;
    char full[FITS_PATH];
    TRY(manifest_add(p->used, ROLE_TRACTOR, path));
    if (!survey_file(full, sizeof full, p->survey->root(p->config), path)) {
        p->files_absent++;
        return OK;
    }
    p->files++;
    Mark mark = arena_mark(scratch);
    TRY(p->survey->read_photometry(&table, &n_table, &n_file, p->config, path, scratch));
    for (int64_t i = 0; i < n; i++) {
        CatalogRow *row = &rows[item[i].row];
        Match how;
        int64_t at = join_match(&how, row, table, n_table, p->arcsec);
        if (at >= 0) join_take(row, &table[at], how);
    }
    arena_reset(scratch, mark);
    return OK;
}

/* Local. All files that this rank owns, one after the other. */
static Status match_files(CatalogRow *rows, int64_t n, Photometry *p, Arena *scratch)
{
    FileRow *item;
    RecentBrick *recent;
    char path[FITS_PATH];
    Mark mark = arena_mark(scratch);
    TRY(arena_new(&item, scratch, n));
    TRY(arena_new(&recent, scratch, RECENT_BRICKS));
    for (int64_t i = 0; i < n; i++) {
        item[i].row = i;
        if (rows[i].has_spectrum) TRY(find_file_hash(&item[i].file, recent, &rows[i], p));
    }
    if (n > 0) qsort(item, (size_t)n, sizeof *item, compare_files);
    for (int64_t first = 0, last; first < n; first = last) {
        for (last = first + 1; last < n && item[last].file == item[first].file;) last++;
        if (item[first].file == 0) continue; /* rows without a position, or with photometry */
        TRY(find_file(path, sizeof path, &rows[item[first].row], p));
        Status st = match_file(rows, item + first, last - first, path, p, scratch);
        if (st != OK) fail_note("reading photometry of %s", path);
        TRY(st);
    }
    arena_reset(scratch, mark);
    return OK;
}

static Status choose_owners(int *dest, CatalogRow *rows, int64_t n, const Photometry *p, const Par *par, Arena *a)
{
    RecentBrick *recent;
    const Mark mark = arena_mark(a);
    TRY(arena_new(&recent, a, RECENT_BRICKS));
    for (int64_t i = 0; i < n; i++) {
        uint64_t file = 0;
        rows[i].has_image = 1;      /* a row without a position is flagged when its image is asked for */
        if (rows[i].has_spectrum) { /* else it is an object of this very survey and brings its photometry */
            rows[i].match = MATCH_NONE;
            TRY(find_file_hash(&file, recent, &rows[i], p));
        }
        dest[i] = owner_of(file ? file : hash_mix((uint64_t)rows[i].targetid), par);
    }
    arena_reset(a, mark);
    return OK;
}

Status join_photometry(CatalogRow **out, int64_t *n_out, Photometry *p, CatalogRow *rows, int64_t n, const Par *par,
                       Arena *a)
{
    int *dest = NULL;
    Status st = arena_new(&dest, a, n);
    if (st == OK) st = choose_owners(dest, rows, n, p, par, a);
    TRY(par_agree(par, st));
    TRY(par_exchange((void **)out, n_out, par, rows, dest, n, sizeof **out, a));
    return par_agree(par, match_files(*out, *n_out, p, a));
}
