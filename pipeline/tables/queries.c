/* queries.c - each rank looks for what is asked among its own rows; what all found is joined and put in order. */
#include "tables/queries.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "data/join.h"
#include "data/labeltable.h"
#include "probe/ann.h"
#include "tables/search.h"

static const char *const direction_names[] = {"image-image", "spectrum-spectrum", "image-spectrum", "spectrum-image",
                                              NULL};

const char *const search_indices[] = {"exact", "ivf", "hnsw", NULL};

static const ConfigField search_fields[] = {
    FIELD_BOOL(SearchConfig, all, "false", RESULT, "every row of the catalogue is a query"),
    FIELD_TEXTS(SearchConfig, targetids, "[]", NULL, RESULT, "queries: TARGETIDs; each of their rows is one"),
    FIELD_TEXTS(SearchConfig, positions, "[]", NULL, RESULT,
                "queries: positions 'RA DEC' in degrees, J2000; the nearest row is taken"),
    FIELD_REAL(SearchConfig, radius, "3", 0, 3600, RESULT, "arcsec; how far from a position its row may be"),
    FIELD_TEXT(SearchConfig, objects, "", EFFORT,
               "queries: a FITS, HDF5 or CSV table with column TARGETID, or RA and DEC, or TARGET_RA and TARGET_DEC"),
    FIELD_TEXTS(SearchConfig, spectra, "[]", NULL, EFFORT,
                "queries: FITS files of spectra (DESI coadds or spectra, SDSS spec files), embedded on the fly"),
    FIELD_TEXTS(SearchConfig, cutouts, "[]", NULL, EFFORT,
                "queries: FITS cutouts as the Legacy Surveys' sky viewer writes them, embedded on the fly"),
    FIELD_INT(SearchConfig, sample, "6", 0, 1e6, RESULT,
              "where no query is named: so many rows with image and spectrum, chosen by their TARGETIDs"),
    FIELD_TEXTS(SearchConfig, directions, "[image-image, spectrum-spectrum, image-spectrum, spectrum-image]",
                direction_names, RESULT, "of what a query is the embedding, and what it is compared with"),
    FIELD_INT(SearchConfig, neighbours, "8", 1, 10000, RESULT, "matches of a query in a direction"),
    FIELD_BOOL(SearchConfig, self, "false", RESULT,
               "a row finds itself, too, in the directions that stay within one modality"),
    FIELD_INT(SearchConfig, batch, "4096", 1, 1e6, EFFORT, "queries that are looked for at a time"),
    FIELD_REAL(SearchConfig, keep_gb, "4", 0, 1e6, EFFORT,
               "GB of embeddings that a rank keeps; what is beyond is read again for each batch of queries"),
    FIELD_REAL(SearchConfig, save_minutes, "2", 0, 1e6, EFFORT,
               "after which the batches done so far are saved, for a run that is cut off to go on there"),
    FIELD_CHOICE(SearchConfig, index, "exact", search_indices, RESULT,
                 "exact: everybody is compared; ivf, hnsw: only whom an index of FAISS proposes (recall is measured)"),
    FIELD_INT(SearchConfig, index_rows, "65536", 64, 1e8, RESULT, "of the catalogue in one index"),
    FIELD_INT(SearchConfig, probes, "32", 1, 1e6, RESULT,
              "ivf: lists of an index that a query looks at; hnsw: candidates that a search keeps"),
    FIELD_END};

static Status check(const void *config)
{
    const SearchConfig *c = config;
    const bool named =
        c->targetids.n > 0 || c->positions.n > 0 || c->objects[0] || c->spectra.n > 0 || c->cutouts.n > 0;
    if (c->all && named) return FAIL(E_CONFIG, "all: every row is a query already; leave the others out");
    if (c->directions.n == 0) return FAIL(E_CONFIG, "directions: none is asked for");
    if (c->index != INDEX_EXACT && !ann_available())
        return FAIL(
            E_CONFIG,
            "index: this program was built without FAISS, which makes '%s': install it (Debian: libfaiss-dev) and a "
            "C++ compiler and build again, or take index: exact",
            search_indices[c->index]);
    return OK;
}

const ConfigSection search_section = {"search", "similarity search among the embeddings", search_fields,
                                      sizeof(SearchConfig), check};

const QueryFlagRow query_flag_table[] = {
    {QUERY_NOT_FOUND, "NOT_FOUND", "no row of the catalogue is what was asked for"},
    {QUERY_NO_IMAGE, "NO_IMAGE", "no embedding of an image: nothing to compare"},
    {QUERY_NO_SPECTRUM, "NO_SPECTRUM", "no embedding of a spectrum: nothing to compare"},
    {QUERY_NEW, "NEW", "not a row of the catalogue: embedded from a file"},
    {0, NULL, NULL},
};

Status search_keys_read(SearchKeys *out, Catalog *c, int64_t block, const Par *par, Arena *a)
{
    enum { CHUNK = 4096 };
    int64_t last;
    CatalogRow *row = NULL;
    par_share(&out->first, &last, par, (c->n + block - 1) / block);
    out->first *= block;
    out->n = (last * block < c->n ? last * block : c->n) - out->first;
    TRY(arena_new(&out->key, a, out->n));
    const Mark mark = arena_mark(a);
    TRY(arena_new(&row, a, CHUNK));
    for (int64_t at = 0; at < out->n; at += CHUNK) {
        const int64_t n = out->n - at < CHUNK ? out->n - at : CHUNK;
        const Mark inner = arena_mark(a);
        TRY(par_continue());
        TRY(catalog_read(row, c, out->first + at, n, a));
        for (int64_t i = 0; i < n; i++) {
            SearchKey *k = &out->key[at + i];
            *k = (SearchKey){row[i].targetid, out->first + at + i, "", "", row[i].ra, row[i].dec, row[i].z};
            memcpy(k->survey, row[i].survey, sizeof k->survey);
            memcpy(k->program, row[i].program, sizeof k->program);
        }
        arena_reset(a, inner);
    }
    arena_reset(a, mark);
    return OK;
}

/* ---- what is asked for ---- */

typedef struct {
    int64_t number; /* in the order of asking */
    bool by_position;
    int64_t targetid;
    double ra, dec;
} Asked;

typedef struct {
    Asked *asked;
    int64_t n;
} AskedList;

static Status add_targetid(AskedList *l, const char *text)
{
    char *end;
    errno = 0;
    const long long id = strtoll(text, &end, 10);
    if (end == text || *end || errno) return FAIL(E_CONFIG, "search.targetids: '%s' is no TARGETID", text);
    l->asked[l->n] = (Asked){.number = l->n, .targetid = id};
    l->n++;
    return OK;
}

static Status add_position(AskedList *l, double ra, double dec)
{
    if (!(ra >= -360 && ra <= 360 && dec >= -90 && dec <= 90))
        return FAIL(E_INPUT, "search: RA %g DEC %g is no position (degrees)", ra, dec);
    l->asked[l->n] = (Asked){.number = l->n, .by_position = true, .ra = ra, .dec = dec};
    l->n++;
    return OK;
}

static Status add_position_text(AskedList *l, const char *text)
{
    char *end, *last;
    const double ra = strtod(text, &end), dec = strtod(end, &last);
    if (end == text || last == end || last[strspn(last, " ")])
        return FAIL(E_CONFIG, "search.positions: '%s' is not 'RA DEC' in degrees", text);
    return add_position(l, ra, dec);
}

/* Rank 0's reading of search.objects. */
typedef struct {
    int64_t n;
    int by_position;
    int64_t *targetid;
    double *value[2];
} AskedTable;

static Status read_objects(AskedTable *o, const char *path, Arena *a)
{
    static const char *const column[][2] = {{"RA", "DEC"}, {"TARGET_RA", "TARGET_DEC"}, {"ra", "dec"}};
    static const char *const id_column[] = {"TARGETID", "targetid"};
    LabelTable t = {0};
    Status st = E_INPUT;
    for (int k = 0; k < 2 && st == E_INPUT; k++) {
        const char *const wanted[] = {id_column[k], NULL};
        fail_clear();
        st = labeltable_open(&t, path, "", id_column[k], wanted, a);
        if (st == OK) st = arena_new(&o->targetid, a, t.n);
        if (st == OK) st = labeltable_read_ids(o->targetid, &t, id_column[k], 0, t.n);
        o->n = t.n;
        labeltable_close(&t);
    }
    for (int k = 0; k < 3 && st == E_INPUT; k++) {
        const char *const wanted[] = {column[k][1], NULL};
        fail_clear();
        o->by_position = 1;
        st = labeltable_open(&t, path, "", column[k][0], wanted, a);
        for (int v = 0; v < 2 && st == OK; v++) st = arena_new(&o->value[v], a, t.n);
        if (st == OK) st = labeltable_read(o->value, &t, column[k], 2, 0, t.n, a);
        o->n = t.n;
        labeltable_close(&t);
    }
    if (st == E_INPUT)
        return FAIL(E_INPUT,
                    "search.objects: %s is no table with a column TARGETID, or RA and DEC, or TARGET_RA and "
                    "TARGET_DEC",
                    path);
    return st;
}

/* Collective. */
static Status share_objects(AskedTable *o, const char *path, const Par *par, Arena *a)
{
    *o = (AskedTable){0};
    if (!path[0]) return OK;
    TRY(par_agree(par, par->rank == 0 ? read_objects(o, path, a) : OK));
    int64_t told[2] = {o->n, o->by_position};
    par_bcast(par, told, sizeof told, 0);
    Status st = OK;
    if (par->rank != 0) {
        o->n = told[0];
        o->by_position = (int)told[1];
        if (!o->by_position) st = arena_new(&o->targetid, a, o->n);
        for (int v = 0; v < 2 && o->by_position && st == OK; v++) st = arena_new(&o->value[v], a, o->n);
    }
    TRY(par_agree(par, st));
    if (!o->by_position) par_bcast(par, o->targetid, o->n * 8, 0);
    for (int v = 0; v < 2 && o->by_position; v++) par_bcast(par, o->value[v], o->n * 8, 0);
    return OK;
}

static Status list_asked(AskedList *l, const SearchConfig *c, const AskedTable *o, Arena *a)
{
    l->n = 0;
    TRY(arena_new(&l->asked, a, c->targetids.n + c->positions.n + o->n));
    for (int64_t i = 0; i < c->targetids.n; i++) TRY(add_targetid(l, c->targetids.item[i]));
    for (int64_t i = 0; i < c->positions.n; i++) TRY(add_position_text(l, c->positions.item[i]));
    for (int64_t i = 0; i < o->n; i++) {
        if (o->by_position) {
            TRY(add_position(l, o->value[0][i], o->value[1][i]));
        } else {
            l->asked[l->n] = (Asked){.number = l->n, .targetid = o->targetid[i]};
            l->n++;
        }
    }
    return OK;
}

/* ---- who is it? ---- */

typedef struct {
    int64_t number;
    double offset; /* arcsec, NaN = by TARGETID */
    SearchKey key;
} Found;

static int by_targetid(const void *a, const void *b)
{
    const Asked *x = a, *y = b;
    if (x->by_position != y->by_position) return x->by_position ? 1 : -1; /* positions behind, by declination */
    if (x->by_position) return x->dec < y->dec ? -1 : x->dec > y->dec;
    return x->targetid < y->targetid ? -1 : x->targetid > y->targetid;
}

/* The first of the sorted ones [0, n) that does not come before. */
static int64_t first_at(const Asked *sorted, int64_t n, const Asked *from)
{
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (by_targetid(&sorted[middle], from) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool nearer(const Found *a, const Found *b)
{
    if (a->offset != b->offset) return a->offset < b->offset;
    return a->key.targetid != b->key.targetid ? a->key.targetid < b->key.targetid : a->key.row < b->key.row;
}

/* Local. Of this rank's rows: those with the TARGETIDs, all of them, and for each position the nearest. Twice: counts, then fills. */
static int64_t find_rows(Found *out, Found *nearest, const AskedList *l, const SearchKeys *keys, double radius)
{
    int64_t n = 0;
    for (int64_t i = 0; i < keys->n; i++) {
        const SearchKey *k = &keys->key[i];
        const Asked id = {.targetid = k->targetid};
        for (int64_t j = first_at(l->asked, l->n, &id); j < l->n && by_targetid(&l->asked[j], &id) == 0; j++, n++)
            if (out) out[n] = (Found){l->asked[j].number, NAN, *k};
        const Asked low = {.by_position = true, .dec = k->dec - radius / 3600};
        if (!out || !isfinite(k->dec)) continue;
        for (int64_t j = first_at(l->asked, l->n, &low); j < l->n && l->asked[j].dec <= k->dec + radius / 3600; j++) {
            const Asked *q = &l->asked[j];
            const Found f = {q->number, join_separation(q->ra, q->dec, k->ra, k->dec), *k};
            if (f.offset <= radius && (nearest[j].number < 0 || nearer(&f, &nearest[j]))) nearest[j] = f;
        }
    }
    return n;
}

static int by_number(const void *a, const void *b)
{
    const Found *x = a, *y = b;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return nearer(x, y) ? -1 : nearer(y, x);
}

/* Collective. What all ranks found, sorted by what it was asked for, the nearest first. */
static Status find_everywhere(Found **out, int64_t *n_out, const AskedList *l, const SearchKeys *keys, double radius,
                              const Par *par, Arena *a)
{
    Found *mine = NULL, *nearest = NULL;
    int64_t n = find_rows(NULL, NULL, l, keys, radius);
    Status st = arena_new(&mine, a, n + l->n);
    if (st == OK) st = arena_new(&nearest, a, l->n);
    TRY(par_agree(par, st));
    for (int64_t j = 0; j < l->n; j++) nearest[j].number = -1;
    find_rows(mine, nearest, l, keys, radius);
    for (int64_t j = 0; j < l->n; j++)
        if (nearest[j].number >= 0) mine[n++] = nearest[j];
    TRY(par_allgather((void **)out, n_out, par, mine, n, sizeof *mine, a));
    for (int64_t i = 0; i < *n_out; i++)
        if (isnan((*out)[i].offset)) (*out)[i].offset = -1; /* sorts */
    qsort(*out, (size_t)*n_out, sizeof **out, by_number);
    return OK;
}

static const SearchKey nobody = {.targetid = -1, .row = -1, .ra = NAN, .dec = NAN, .z = NAN};

static void name_query(Query *q, const Asked *asked)
{
    if (asked->by_position)
        snprintf(q->asked, sizeof q->asked, "RA %.6f DEC %.6f", asked->ra, asked->dec);
    else
        snprintf(q->asked, sizeof q->asked, "TARGETID %" PRId64, asked->targetid);
}

static int by_asking(const void *a, const void *b)
{
    const Asked *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static Status make_queries(Queries *out, AskedList *l, const Found *found, int64_t n_found, const FreshObjects *fresh,
                           Arena *a)
{
    int64_t at = 0;
    out->n = 0;
    TRY(arena_new(&out->query, a, n_found + l->n + fresh->n));
    qsort(l->asked, (size_t)l->n, sizeof *l->asked, by_asking);
    for (int64_t i = 0; i < l->n; i++) {
        const int64_t begin = at;
        for (; at < n_found && found[at].number == i; at++) {
            Query *q = &out->query[out->n];
            if (l->asked[i].by_position && at > begin) continue; /* the nearest of all ranks is enough */
            *q = (Query){.key = found[at].key, .offset = found[at].offset < 0 ? NAN : found[at].offset, .fresh = -1};
            name_query(q, &l->asked[i]);
            out->n++;
        }
        if (at > begin) continue;
        Query *q = &out->query[out->n++];
        *q = (Query){.key = nobody, .offset = NAN, .flag = QUERY_NOT_FOUND, .fresh = -1};
        if (!l->asked[i].by_position) q->key.targetid = l->asked[i].targetid;
        name_query(q, &l->asked[i]);
    }
    for (int64_t i = 0; i < fresh->n; i++) {
        Query *q = &out->query[out->n++];
        *q = fresh->query[i];
        q->fresh = i;
    }
    return OK;
}

/* ---- where nothing is asked for ---- */

typedef struct {
    uint64_t turn;
    SearchKey key;
} Drawn;

static int by_turn(const void *a, const void *b)
{
    const Drawn *x = a, *y = b;
    if (x->turn != y->turn) return x->turn < y->turn ? -1 : 1;
    return x->key.row < y->key.row ? -1 : x->key.row > y->key.row;
}

/* The first of each TARGETID stays. */
static int64_t drop_repeated(Drawn *d, int64_t n, int64_t most)
{
    int64_t kept = 0;
    qsort(d, (size_t)n, sizeof *d, by_turn);
    for (int64_t i = 0; i < n && kept < most; i++)
        if (kept == 0 || d[kept - 1].turn != d[i].turn) d[kept++] = d[i];
    return kept;
}

/* Collective. */
static Status draw_sample(Queries *out, int64_t most, const SearchKeys *keys, const uint8_t *const usable[N_MODALITIES],
                          const Par *par, Arena *a)
{
    Drawn *mine = NULL, *all = NULL;
    int64_t n = 0, n_all;
    TRY(par_agree(par, arena_new(&mine, a, 2 * most + 1)));
    for (int64_t i = 0; i < keys->n; i++) {
        if (!usable[MODALITY_IMAGE][i] || !usable[MODALITY_SPECTRUM][i]) continue;
        mine[n++] = (Drawn){hash_mix((uint64_t)keys->key[i].targetid), keys->key[i]};
        if (n == 2 * most + 1) n = drop_repeated(mine, n, most);
    }
    n = drop_repeated(mine, n, most);
    TRY(par_allgather((void **)&all, &n_all, par, mine, n, sizeof *mine, a));
    out->n = drop_repeated(all, n_all, most);
    TRY(par_agree(par, arena_new(&out->query, a, out->n)));
    for (int64_t i = 0; i < out->n; i++) {
        out->query[i] = (Query){.key = all[i].key, .offset = NAN, .fresh = -1};
        snprintf(out->query[i].asked, QUERY_ASKED, "TARGETID %" PRId64, all[i].key.targetid);
    }
    return OK;
}

Status queries_find(Queries *out, const SearchConfig *c, const FreshObjects *fresh, const SearchKeys *keys,
                    const uint8_t *const usable[N_MODALITIES], int64_t rows, const Par *par, Arena *a)
{
    AskedTable o;
    AskedList l;
    Found *found;
    int64_t n_found;
    *out = (Queries){.n = rows};
    if (c->all) return OK;
    TRY(share_objects(&o, c->objects, par, a));
    TRY(par_agree(par, list_asked(&l, c, &o, a)));
    if (l.n + fresh->n == 0 && !c->objects[0]) return draw_sample(out, c->sample, keys, usable, par, a);
    qsort(l.asked, (size_t)l.n, sizeof *l.asked, by_targetid);
    TRY(find_everywhere(&found, &n_found, &l, keys, c->radius, par, a));
    return par_agree(par, make_queries(out, &l, found, n_found, fresh, a));
}
