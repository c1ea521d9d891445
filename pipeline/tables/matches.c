/* matches.c - columns, headers, rows as bytes, and reading back. */
#include "tables/matches.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/artefact.h"

static const FitsColumn match_columns[] = {
    {"DIRECTION", "17A", "", "embedding of the query - of the match"},
    {"QUERY", "K", "", "row of QUERIES, from 0"},
    {"QUERY_TARGETID", "K", "", "TARGETID of the query, -1 = none"},
    {"RANK", "J", "", "1 = most alike"},
    {"SCORE", "D", "", "cosine of the embeddings"},
    {"TARGETID", "K", "", "of the match"},
    {"SURVEY", "7A", "", "survey of the spectrum"},
    {"PROGRAM", "7A", "", "program of the spectrum"},
    {"TARGET_RA", "D", "deg", "[deg] right ascension, J2000"},
    {"TARGET_DEC", "D", "deg", "[deg] declination, J2000"},
    {"Z", "D", "", "spectroscopic redshift"},
    {"ROW", "K", "", "row of catalog.h5, from 0"},
    {"SEPARATION", "D", "arcsec", "[arcsec] of query and match on the sky"},
};

static const FitsColumn query_columns[] = {
    {"ASKED", "40A", "", "what was asked for"},
    {"TARGETID", "K", "", "DESI target identifier, -1 = none"},
    {"SURVEY", "7A", "", "survey of the spectrum"},
    {"PROGRAM", "7A", "", "program of the spectrum"},
    {"TARGET_RA", "D", "deg", "[deg] right ascension, J2000"},
    {"TARGET_DEC", "D", "deg", "[deg] declination, J2000"},
    {"Z", "D", "", "spectroscopic redshift"},
    {"ROW", "K", "", "row of catalog.h5, from 0; -1 = none"},
    {"OFFSET", "D", "arcsec", "[arcsec] from the position asked for"},
    {"QUERY_FLAG", "J", "", "bits: QFLAGnn of this header"},
};

static const struct {
    const char *name;
    const FitsColumn *column;
    int n_columns;
    int64_t row_bytes;
} tables[N_MATCH_TABLES] = {
    [TABLE_MATCHES] = {"MATCHES", match_columns, sizeof match_columns / sizeof *match_columns, MATCH_BYTES},
    [TABLE_QUERIES] = {"QUERIES", query_columns, sizeof query_columns / sizeof *query_columns, QUERY_BYTES},
};

static Status put_flags(FitsFile *f)
{
    for (const QueryFlagRow *row = query_flag_table; row->bit; row++) {
        char key[16], text[128];
        snprintf(key, sizeof key, "QFLAG%02d", __builtin_ctz((unsigned)row->bit));
        snprintf(text, sizeof text, "%s: %s", row->name, row->sentence);
        TRY(fitsfile_put_text(f, key, text, ""));
    }
    return OK;
}

/* Cards of the sums are there; later only their values change. */
static Status put_table(RowSpan *span, FitsFile *f, int table, int64_t n)
{
    TRY(fitsfile_new_table(f, tables[table].name, tables[table].column, tables[table].n_columns, n));
    if (table == TABLE_QUERIES) TRY(put_flags(f));
    TRY(fitsfile_put_datasum(f, 0));
    TRY(fitsfile_data_span(&span->start, &span->bytes, f));
    MUST(span->bytes == n * tables[table].row_bytes);
    return OK;
}

/* recall NULL: takes the room for it. */
static Status put_recall(FitsFile *f, const SearchConfig *c, const double *recall)
{
    for (int d = 0; d < N_DIRECTIONS && c->index != INDEX_EXACT; d++) {
        char key[16], comment[64];
        if (!search_goes(c, d)) continue;
        snprintf(key, sizeof key, "RECALL%d", d + 1);
        snprintf(comment, sizeof comment, "of the exact matches, %s", direction_table[d].name);
        TRY(fitsfile_put_f64(f, key, recall ? recall[d] : -1, comment));
    }
    return OK;
}

Status matches_create(RowSpan span[N_MATCH_TABLES], const char *part, const Envelope *e, const Fingerprint *catalog,
                      const Fingerprint *embeddings, const SearchConfig *c, int64_t n_matches, int64_t n_queries)
{
    FitsFile f = {0};
    Status st = OK;
    TRY(fitsfile_create(&f, part));
    TRY_DONE(fitsfile_put_text(&f, "EXTNAME", "PRIMARY", "tables: MATCHES, QUERIES"));
    TRY_DONE(artefact_write_fits(&f, e));
    TRY_DONE(fitsfile_put_i64(&f, "ROWSIN", n_queries, "rows of QUERIES"));
    TRY_DONE(fitsfile_put_i64(&f, "ROWSOUT", n_matches, "rows of MATCHES"));
    TRY_DONE(fitsfile_put_text(&f, "FPCAT", catalog->text, "fingerprint of catalog.h5"));
    TRY_DONE(fitsfile_put_text(&f, "FPEMB", embeddings->text, "fingerprint of embeddings.h5"));
    TRY_DONE(fitsfile_put_text(&f, "INDEX", search_indices[c->index], "exact, or what FAISS made candidates with"));
    TRY_DONE(put_recall(&f, c, NULL));
    TRY_DONE(fitsfile_put_checksum(&f));
    TRY_DONE(put_table(&span[TABLE_MATCHES], &f, TABLE_MATCHES, n_matches));
    TRY_DONE(put_table(&span[TABLE_QUERIES], &f, TABLE_QUERIES, n_queries));
    return fitsfile_finish(&f);
done:
    fitsfile_close(&f);
    return st;
}

Status matches_close(const char *part, const SearchConfig *c, const uint32_t datasum[N_MATCH_TABLES],
                     const double *recall)
{
    FitsFile f = {0};
    Status st = OK;
    TRY(fitsfile_reopen(&f, part));
    TRY_DONE(fitsfile_goto_number(&f, 0));
    TRY_DONE(put_recall(&f, c, recall));
    TRY_DONE(artefact_put_seconds_fits(&f));
    for (int t = 0; t < N_MATCH_TABLES; t++) {
        TRY_DONE(fitsfile_goto(&f, tables[t].name));
        TRY_DONE(fitsfile_put_datasum(&f, datasum[t]));
    }
    return fitsfile_finish(&f);
done:
    fitsfile_close(&f);
    return st;
}

/* ---- rows ---- */

static unsigned char *add_i64(unsigned char *to, int64_t x)
{
    put_big_endian(to, (uint64_t)x, 8);
    return to + 8;
}

static unsigned char *add_f64(unsigned char *to, double x)
{
    put_f64(to, x);
    return to + 8;
}

static unsigned char *add_i32(unsigned char *to, int32_t x)
{
    put_big_endian(to, (uint32_t)x, 4);
    return to + 4;
}

static unsigned char *add_text(unsigned char *to, const char *text, size_t cell, int64_t width)
{
    put_text(to, text, cell, width);
    return to + width;
}

/* Columns TARGETID to ROW, in both tables. */
static unsigned char *add_key(unsigned char *to, const SearchKey *k)
{
    to = add_i64(to, k->targetid);
    to = add_text(to, k->survey, sizeof k->survey, 7);
    to = add_text(to, k->program, sizeof k->program, 7);
    to = add_f64(to, k->ra);
    to = add_f64(to, k->dec);
    to = add_f64(to, k->z);
    return add_i64(to, k->row);
}

void matches_put(unsigned char *out, const MatchRow *m)
{
    const char *direction = direction_table[m->direction].name;
    unsigned char *to = add_text(out, direction, strlen(direction), 17);
    to = add_i64(to, m->query);
    to = add_i64(to, m->query_targetid);
    to = add_i32(to, (int32_t)m->rank);
    to = add_f64(to, m->score);
    to = add_key(to, &m->key);
    add_f64(to, m->separation);
}

void matches_put_query(unsigned char *out, const Query *q)
{
    unsigned char *to = add_text(out, q->asked, sizeof q->asked, 40);
    to = add_key(to, &q->key);
    to = add_f64(to, q->offset);
    add_i32(to, q->flag);
}

/* ---- reading ---- */

/* Columns of one table, (n) each. */
typedef struct {
    int64_t n, *targetid, *row, *query, *query_targetid;
    int32_t *rank, *flag;
    double *ra, *dec, *z, *score, *separation, *offset;
    char (*survey)[8], (*program)[8], (*asked)[QUERY_ASKED + 1], (*direction)[20];
} Columns;

static Status make_columns(Columns *c, int64_t n, Arena *a)
{
    c->n = n;
    TRY(arena_new(&c->targetid, a, n));
    TRY(arena_new(&c->row, a, n));
    TRY(arena_new(&c->query, a, n));
    TRY(arena_new(&c->query_targetid, a, n));
    TRY(arena_new(&c->rank, a, n));
    TRY(arena_new(&c->flag, a, n));
    TRY(arena_new(&c->ra, a, n));
    TRY(arena_new(&c->dec, a, n));
    TRY(arena_new(&c->z, a, n));
    TRY(arena_new(&c->score, a, n));
    TRY(arena_new(&c->separation, a, n));
    TRY(arena_new(&c->offset, a, n));
    TRY(arena_new(&c->survey, a, n));
    TRY(arena_new(&c->program, a, n));
    TRY(arena_new(&c->asked, a, n));
    return arena_new(&c->direction, a, n);
}

static Status read_columns(Columns *c, FitsFile *f, int table, int64_t first, int64_t n, Arena *a)
{
    const bool queries = table == TABLE_QUERIES;
    TRY(make_columns(c, n, a));
    FitsPick pick[] = {
        {.name = "TARGETID", .type = FITS_I64, .out = c->targetid},
        {.name = "ROW", .type = FITS_I64, .out = c->row},
        {.name = "TARGET_RA", .type = FITS_F64, .out = c->ra},
        {.name = "TARGET_DEC", .type = FITS_F64, .out = c->dec},
        {.name = "Z", .type = FITS_F64, .out = c->z},
        {.name = "SURVEY", .type = FITS_TEXT, .out = c->survey, .cell = sizeof *c->survey},
        {.name = "PROGRAM", .type = FITS_TEXT, .out = c->program, .cell = sizeof *c->program},
        {.name = queries ? "OFFSET" : "SCORE", .type = FITS_F64, .out = queries ? c->offset : c->score},
        {.name = queries ? "QUERY_FLAG" : "RANK", .type = FITS_I32, .out = queries ? c->flag : c->rank},
        queries ? (FitsPick){.name = "ASKED", .type = FITS_TEXT, .out = c->asked, .cell = sizeof *c->asked}
                : (FitsPick){.name = "DIRECTION", .type = FITS_TEXT, .out = c->direction, .cell = sizeof *c->direction},
        {.name = "QUERY", .type = FITS_I64, .out = c->query},
        {.name = "QUERY_TARGETID", .type = FITS_I64, .out = c->query_targetid},
        {.name = "SEPARATION", .type = FITS_F64, .out = c->separation},
    };
    const int n_picks = (int)(sizeof pick / sizeof *pick);
    return fitsfile_read_picks(pick, queries ? n_picks - 3 : n_picks, f, first, n, a);
}

static SearchKey key_of(const Columns *c, int64_t i)
{
    SearchKey k = {.targetid = c->targetid[i], .row = c->row[i], .ra = c->ra[i], .dec = c->dec[i], .z = c->z[i]};
    memcpy(k.survey, c->survey[i], sizeof k.survey);
    memcpy(k.program, c->program[i], sizeof k.program);
    return k;
}

static Status take_queries(Matches *m, FitsFile *f, int64_t most, Arena *a)
{
    Columns c;
    TRY(fitsfile_goto(f, "QUERIES"));
    TRY(fitsfile_rows(&m->n_queries, f));
    if (m->n_queries > most) m->n_queries = most;
    TRY(read_columns(&c, f, TABLE_QUERIES, 0, m->n_queries, a));
    TRY(arena_new(&m->query, a, m->n_queries));
    for (int64_t i = 0; i < m->n_queries; i++) {
        m->query[i] = (Query){.key = key_of(&c, i), .offset = c.offset[i], .flag = c.flag[i], .fresh = -1};
        memcpy(m->query[i].asked, c.asked[i], QUERY_ASKED);
        m->query[i].asked[QUERY_ASKED - 1] = 0;
    }
    return OK;
}

static int direction_of(const char *name)
{
    for (int d = 0; d < N_DIRECTIONS; d++)
        if (strcmp(direction_table[d].name, name) == 0) return d;
    return -1;
}

static Status take_matches(Matches *m, FitsFile *f, Arena *a)
{
    enum { CHUNK = 1 << 14 };
    Columns c;
    int64_t n, room = 0;
    TRY(fitsfile_goto(f, "MATCHES"));
    TRY(fitsfile_rows(&n, f));
    for (int pass = 0; pass < 2; pass++) { /* counts, then fills */
        if (pass == 1) TRY(arena_new(&m->match, a, room));
        for (int64_t at = 0; at < n; at += CHUNK) {
            const Mark mark = arena_mark(a);
            TRY(read_columns(&c, f, TABLE_MATCHES, at, n - at < CHUNK ? n - at : CHUNK, a));
            for (int64_t i = 0; i < c.n; i++) {
                const int d = direction_of(c.direction[i]);
                if (c.query[i] >= m->n_queries || d < 0) continue;
                if (pass == 0)
                    room++;
                else if (m->n < room)
                    m->match[m->n++] = (MatchRow){d,          c.query[i],    c.query_targetid[i], c.rank[i],
                                                  c.score[i], key_of(&c, i), c.separation[i]};
            }
            arena_reset(a, mark);
        }
    }
    return OK;
}

Status matches_read(Matches *out, const char *path, int64_t n_queries, Arena *a)
{
    FitsFile f = {0};
    Status st = OK;
    *out = (Matches){0};
    TRY(fitsfile_open(&f, path));
    TRY_DONE(fitsfile_goto_number(&f, 0));
    fitsfile_get_text(out->index, sizeof out->index, &f, "INDEX");
    for (int d = 0; d < N_DIRECTIONS; d++) {
        char key[16];
        snprintf(key, sizeof key, "RECALL%d", d + 1);
        if (!fitsfile_get_f64(&out->recall[d], &f, key)) out->recall[d] = NAN;
    }
    TRY_DONE(take_queries(out, &f, n_queries, a));
    TRY_DONE(take_matches(out, &f, a));
done:
    fitsfile_close(&f);
    return st;
}
