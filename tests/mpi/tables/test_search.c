/* A search over ranks: the matches of brute force, the bytes of one rank, whatever the batch, and whether embeddings are kept or read
   again; what is asked for in every way. */
#include <stdlib.h>
#include <unistd.h>

#include "data/join.h"
#include "probe/ann.h"
#include "probe/cosine.h"
#include "small_release.h"
#include "tables/matches.h"

enum { ROWS = 333, DIM = 12 };

static float value(Modality m, int64_t i, int64_t d)
{
    if (!has(m, i)) return NAN;
    if (i % 50 == 7) return (float)(d + 1); /* all alike: order by TARGETID */
    return (float)sin(0.37 * (double)((i + 3) * (d + 1)) + m) + (float)(m == MODALITY_SPECTRUM && d == 0);
}

static Status write_wide(const char *path)
{
    H5File f = {0};
    Status st = OK;
    const int64_t n = ROWS;
    const Envelope e = {.kind = "embeddings",
                        .version = EMBEDDINGS_VERSION,
                        .made_by = "embed",
                        .fingerprint = {"00000000000000000000000000000002"}};
    TRY(h5_create(&f, path, NULL));
    TRY_DONE(artefact_write(&f, &e));
    TRY_DONE(h5_new(&f, "object_id", H5_I64, 0, &n, 1));
    for (int m = 0; m < N_MODALITIES; m++)
        TRY_DONE(h5_new(&f, embedding_dataset[m], H5_F32, 0, (int64_t[]){n, DIM}, 2));
    for (int64_t i = 0; i < n; i++) {
        const int64_t id = catalog_row(i).targetid;
        TRY_DONE(h5_write_rows(&f, "object_id", H5_I64, 0, &id, i, 1));
        for (int m = 0; m < N_MODALITIES; m++) {
            float x[DIM];
            for (int64_t d = 0; d < DIM; d++) x[d] = value((Modality)m, i, d);
            TRY_DONE(h5_write_rows(&f, embedding_dataset[m], H5_F32, 0, x, i, 1));
        }
    }
done:
    h5_close(&f);
    return st;
}

static const char *all_directions[] = {"image-image", "spectrum-spectrum", "image-spectrum", "spectrum-image"};
static SearchConfig usual(void)
{
    return (SearchConfig){.objects = "",
                          .radius = 3,
                          .sample = 4,
                          .directions = {4, all_directions},
                          .neighbours = 5,
                          .batch = 1000,
                          .keep_gb = 1,
                          .save_minutes = 1000,
                          .index_rows = 64,
                          .probes = 4};
}

static void write_inputs(void)
{
    static bool written;
    if (written) return;
    written = true;
    write_release(ROWS);
    if (test_par.rank == 0) CHECK_OK(write_wide(path_of("wide.h5")));
    par_barrier(&test_par);
}

static SearchTold told; /* of the last search */
static Envelope envelope = {.kind = "matches",
                            .version = MATCHES_VERSION,
                            .made_by = "search",
                            .config = "",
                            .fingerprint = {"00000000000000000000000000000007"}};
static bool again;

static Status search(const char *name, const SearchConfig *c, const FreshObjects *fresh, const Par *par)
{
    static const FreshObjects none;
    Catalog catalog = {0};
    Embeddings embeddings = {0};
    Status st = catalog_open(&catalog, path_of("catalog.h5"), NULL, &test_arena);
    if (st == OK) st = embeddings_open(&embeddings, path_of("wide.h5"), NULL, &test_arena);
    const SearchSources s = {c, &catalog, &embeddings, fresh ? fresh : &none, again};
    if (st == OK) st = search_run(&told, path_of(name), &envelope, &s, par, &test_arena);
    catalog_close(&catalog);
    embeddings_close(&embeddings);
    return st;
}

static void read_back(Matches *m, const char *name)
{
    par_barrier(&test_par);
    CHECK_OK(matches_read(m, path_of(name), 1 << 20, &test_arena));
}

/* The best of everybody for row `row`, sorted. */
static const CosineMatch *by_sorting(int64_t *n, int64_t row, const DirectionRow *d, bool self)
{
    CosineMatch *all = NULL;
    float q[DIM], x[DIM];
    *n = 0;
    CHECK_OK(arena_new(&all, &test_arena, ROWS));
    for (int64_t k = 0; k < DIM; k++) q[k] = value(d->from, row, k);
    for (int64_t i = 0; i < ROWS; i++) {
        double sum = 0;
        if (!has(d->to, i) || !has(d->from, row) || (i == row && d->from == d->to && !self)) continue;
        for (int64_t k = 0; k < DIM; k++) sum += (double)(x[k] = value(d->to, i, k)) * q[k];
        const double cosine = sum / (cosine_norm(q, DIM) * cosine_norm(x, DIM));
        all[(*n)++] =
            (CosineMatch){round(1e13 * cosine) / 1e13, catalog_row(i).targetid, i}; /* sums in another order */
    }
    qsort(all, (size_t)*n, sizeof *all, cosine_compare);
    return all;
}

static void check_matches(const Matches *m, const SearchConfig *c)
{
    int64_t at = 0;
    for (int k = 0; k < N_DIRECTIONS; k++)
        for (int64_t q = 0; q < m->n_queries && search_goes(c, k); q++) {
            const int64_t row = m->query[q].key.row;
            int64_t n = 0;
            const CosineMatch *want = row >= 0 ? by_sorting(&n, row, &direction_table[k], c->self) : NULL;
            for (int64_t j = 0; j < c->neighbours && j < n; j++, at++) {
                const MatchRow *got = &m->match[at];
                if (at >= m->n) CU_FAIL_FATAL("matches are missing");
                CU_ASSERT(got->direction == k && got->query == q && got->rank == j + 1);
                CU_ASSERT_EQUAL(got->key.row, want[j].row);
                CU_ASSERT_EQUAL(got->key.targetid, want[j].targetid);
                CU_ASSERT_DOUBLE_EQUAL(got->score, want[j].score, 1e-12);
                CU_ASSERT_EQUAL(got->query_targetid, m->query[q].key.targetid);
                CU_ASSERT_DOUBLE_EQUAL(got->separation,
                                       3.6 * fabs((double)(got->key.row - row)) * cos(2.5 * M_PI / 180), 1e-2);
                CU_ASSERT(strcmp(got->key.survey, catalog_row(got->key.row).survey) == 0);
            }
        }
    CU_ASSERT_EQUAL(at, m->n);
}

static void everybody_finds_the_matches_of_brute_force(void)
{
    SearchConfig c = usual();
    Matches m;
    c.all = true;
    c.batch = 100;
    write_inputs();
    CHECK_OK(search("all.fits", &c, NULL, &test_par));
    read_back(&m, "all.fits");
    CU_ASSERT_EQUAL(m.n_queries, ROWS);
    CU_ASSERT_EQUAL(m.query[4].flag, QUERY_NO_IMAGE | (has(MODALITY_SPECTRUM, 4) ? 0 : QUERY_NO_SPECTRUM));
    check_matches(&m, &c);
}

static void sums_of(char out[2][80], const char *name)
{
    static const char *const hdu[] = {"MATCHES", "QUERIES"};
    FitsFile f = {0};
    CHECK_OK(fitsfile_open(&f, path_of(name)));
    for (int k = 0; k < 2; k++) {
        bool good = false, there = false;
        CHECK_OK(fitsfile_goto(&f, hdu[k]));
        CU_ASSERT(fitsfile_get_text(out[k], 80, &f, "DATASUM"));
        CHECK_OK(fitsfile_verify(&f, &good, &there));
        CU_ASSERT(good && there);
    }
    fitsfile_close(&f);
}

static void the_same_bytes_on_any_ranks_in_any_batch_kept_or_read_again(void)
{
    char want[2][80] = {""}, got[2][80] = {""};
    SearchConfig c = usual();
    c.all = true;
    write_inputs();
    if (test_par.rank == 0) CHECK_OK(search("alone.fits", &c, NULL, &par_alone));
    par_barrier(&test_par);
    sums_of(want, "alone.fits");
    for (int k = 0; k < 3; k++) {
        c.batch = k == 0 ? 1000 : 37;
        c.keep_gb = k == 2 ? 0 : 1;
        CHECK_OK(search("spread.fits", &c, NULL, &test_par));
        sums_of(got, "spread.fits");
        CU_ASSERT(memcmp(want, got, sizeof want) == 0);
        par_barrier(&test_par);
    }
}

static void what_is_asked_for_is_found_or_said_to_be_missing(void)
{
    const char *ids[] = {"39627784728870939", "17", "39627784728870929"};
    const char *positions[] = {"150.0205 -2.5002", "40 40", "150.0, -2.5"};
    SearchConfig c = usual();
    Matches m;
    c.targetids = (ConfigTexts){3, ids};
    c.positions = (ConfigTexts){2, positions};
    c.self = true;
    write_inputs();
    CHECK_OK(search("asked.fits", &c, NULL, &test_par));
    read_back(&m, "asked.fits");
    static const int64_t row[] = {10, -1, 0, 20,
                                  -1}; /* of positions 3.6" apart: 1.8" and 1.8" on: the lower TARGETID or the nearer */
    CU_ASSERT_EQUAL_FATAL(m.n_queries, 5);
    for (int i = 0; i < 5; i++) CU_ASSERT(m.query[i].key.row == row[i] || (i == 3 && m.query[i].key.row == 21));
    CU_ASSERT(m.query[1].flag == (QUERY_NOT_FOUND | QUERY_NO_IMAGE | QUERY_NO_SPECTRUM) &&
              m.query[1].key.targetid == 17);
    CU_ASSERT(strcmp(m.query[1].asked, "TARGETID 17") == 0);
    CU_ASSERT_DOUBLE_EQUAL(m.query[3].offset, join_separation(150.0205, -2.5002, m.query[3].key.ra, -2.5), 1e-9);
    CU_ASSERT(isnan(m.query[0].offset));
    check_matches(&m, &c);
    c.positions = (ConfigTexts){3, positions};
    CHECK_FAILS(search("asked.fits", &c, NULL, &test_par), E_CONFIG);
}

static void a_table_names_queries_by_targetid_or_by_position(void)
{
    SearchConfig c = usual();
    Matches m;
    write_inputs();
    if (test_par.rank == 0) {
        FILE *f = fopen(path_of("ids.csv"), "w"), *g = fopen(path_of("places.csv"), "w");
        fprintf(f, "TARGETID\n39627784728871000\n39627784728871100\n");
        fprintf(g, "RA,DEC\n150.1,-2.5\n150.2,-2.5\n150.3,-2.4\n");
        fclose(f);
        fclose(g);
    }
    par_barrier(&test_par);
    char *path = NULL;
    CHECK_OK(arena_text(&path, &test_arena, path_of("ids.csv")));
    c.objects = path;
    CHECK_OK(search("table.fits", &c, NULL, &test_par));
    read_back(&m, "table.fits");
    CU_ASSERT(m.n_queries == 2 && m.query[0].key.row == 71 && m.query[1].key.row == 171);
    check_matches(&m, &c);
    CHECK_OK(arena_text(&path, &test_arena, path_of("places.csv")));
    c.objects = path;
    CHECK_OK(search("table.fits", &c, NULL, &test_par));
    read_back(&m, "table.fits");
    CU_ASSERT(m.n_queries == 3 && m.query[0].key.row == 100 && m.query[1].key.row == 200 && m.query[2].key.row == -1);
    check_matches(&m, &c);
    CHECK_OK(arena_text(&path, &test_arena, path_of("catalog.h5")));
    c.objects = path; /* TARGETID is there, as a dataset */
    CHECK_OK(search("table.fits", &c, NULL, &test_par));
    CHECK_OK(arena_text(&path, &test_arena, path_of("nowhere.csv")));
    c.objects = path;
    CHECK_FAILS(search("table.fits", &c, NULL, &test_par), E_INPUT);
}

static void without_a_query_some_rows_with_both_are_drawn(void)
{
    SearchConfig c = usual();
    Matches m;
    write_inputs();
    CHECK_OK(search("drawn.fits", &c, NULL, &test_par));
    read_back(&m, "drawn.fits");
    CU_ASSERT_EQUAL(m.n_queries, 4);
    for (int64_t i = 0; i < m.n_queries; i++)
        CU_ASSERT(m.query[i].flag == 0 && has(MODALITY_IMAGE, m.query[i].key.row) &&
                  has(MODALITY_SPECTRUM, m.query[i].key.row));
    check_matches(&m, &c);
}

static void new_objects_find_rows_and_are_found_by_none(void)
{
    SearchConfig c = usual();
    Matches m;
    float x[N_MODALITIES][2 * DIM];
    Query query[2] = {{.asked = "a.fits", .key = {.targetid = -1, .row = -1, .ra = NAN, .dec = NAN}, .flag = QUERY_NEW},
                      {.asked = "b.fits", .key = {.targetid = 5, .row = -1, .ra = NAN, .dec = NAN}, .flag = QUERY_NEW}};
    const FreshObjects fresh = {.n = 2, .query = query, .dim = DIM, .x = {x[0], x[1]}};
    for (int64_t d = 0; d < DIM; d++) { /* an image that is that of row 12, a spectrum that is that of row 30 */
        x[MODALITY_IMAGE][d] = value(MODALITY_IMAGE, 12, d), x[MODALITY_SPECTRUM][d] = NAN;
        x[MODALITY_IMAGE][DIM + d] = NAN, x[MODALITY_SPECTRUM][DIM + d] = value(MODALITY_SPECTRUM, 30, d);
    }
    write_inputs();
    CHECK_OK(search("fresh.fits", &c, &fresh, &test_par));
    read_back(&m, "fresh.fits");
    CU_ASSERT_EQUAL_FATAL(m.n, 4 * c.neighbours);
    CU_ASSERT(m.query[0].flag == (QUERY_NEW | QUERY_NO_SPECTRUM) && m.query[1].flag == (QUERY_NEW | QUERY_NO_IMAGE));
    CU_ASSERT(m.match[0].key.row == 12 && m.match[c.neighbours].key.row == 30 && isnan(m.match[0].separation));
    CU_ASSERT_DOUBLE_EQUAL(m.match[0].score, 1, 1e-14);
}

static void more_neighbours_than_rows_are_all_rows(void)
{
    SearchConfig c = usual();
    Matches m;
    c.neighbours = 1000;
    c.sample = 1;
    c.directions = (ConfigTexts){1, all_directions};
    write_inputs();
    CHECK_OK(search("many.fits", &c, NULL, &test_par));
    read_back(&m, "many.fits");
    check_matches(&m, &c);
    CU_ASSERT(m.n > 200);
}

static bool there(const char *name) { return access(path_of(name), F_OK) == 0; }

static void a_failure_at_any_point_on_any_rank_leaves_nothing(void)
{
    static const char *const points[] = {"search.read", "search.header", "search.rows", "search.publish",
                                         "artefact.publish"};
    SearchConfig c = usual();
    write_inputs();
    for (unsigned k = 0; k < sizeof points / sizeof *points; k++)
        for (int bad = 0; bad < test_par.n_ranks; bad++) {
            char wanted[64];
            snprintf(wanted, sizeof wanted, "%s:%d", points[k], bad);
            setenv("FAIL_POINT", wanted, 1);
            const Status st = search("hurt.fits", &c, NULL, &test_par);
            unsetenv("FAIL_POINT");
            CU_ASSERT(st == E_OUTPUT && fail_record()->rank == bad && strstr(fail_record()->text, points[k]));
            fail_clear();
            par_barrier(&test_par);
            CU_ASSERT(!there("hurt.fits") && !there("hurt.fits.part"));
            par_barrier(&test_par);
        }
}

/* Every batch is saved, and then the search fails: on one rank or on all, in batches of other sizes, it goes on where it was. */
static void what_was_saved_is_not_done_again(void)
{
    char want[2][80] = {""}, got[2][80] = {""};
    SearchConfig c = usual();
    int64_t runs = 0;
    double products = 0, all;
    Status st = E_OUTPUT;
    c.all = true;
    write_inputs();
    CHECK_OK(search("whole.fits", &c, NULL, &test_par));
    all = told.products;
    sums_of(want, "whole.fits");
    for (; st == E_OUTPUT && runs < 40; runs++) {
        const bool alone = runs % 3 == 2;
        par_barrier(&test_par);
        c.batch = runs % 2 ? 100 : 59;
        c.save_minutes = runs < 3 ? 0 : 1000;
        setenv("FAIL_POINT", "search.saved:0", 1);
        if (!alone)
            st = search("cut.fits", &c, NULL, &test_par);
        else if (test_par.rank == 0)
            st = search("cut.fits", &c, NULL, &par_alone);
        unsetenv("FAIL_POINT");
        CU_ASSERT(there("cut.fits.part") == (st != OK) || alone);
        if (st != OK) fail_clear();
        par_bcast(&test_par, &st, sizeof st, 0);
        products += told.products;
    }
    CU_ASSERT(st == OK && runs == 4);
    if (test_par.rank == 0) CU_ASSERT_DOUBLE_EQUAL(products, all, 0);
    par_barrier(&test_par);
    CU_ASSERT(!there("cut.fits.part") && !there("cut.fits.state.part"));
    sums_of(got, "cut.fits");
    CU_ASSERT(memcmp(want, got, sizeof want) == 0);
}

/* After the first batch. */
static void cut_off(SearchConfig c)
{
    c.save_minutes = 0;
    setenv("FAIL_POINT", "search.saved:0", 1);
    CHECK_FAILS(search("hurt.fits", &c, NULL, &test_par), E_OUTPUT);
    unsetenv("FAIL_POINT");
    par_barrier(&test_par);
    CU_ASSERT(there("hurt.fits.part") && search_count_saved(path_of("hurt.fits")) > 0);
    par_barrier(&test_par);
}

static void what_was_saved_for_another_question_or_damaged_is_done_again(void)
{
    char want[2][80] = {""}, got[2][80] = {""};
    SearchConfig c = usual();
    c.all = true;
    write_inputs();
    CHECK_OK(search("whole.fits", &c, NULL, &test_par));
    const double all = told.products;
    sums_of(want, "whole.fits");
    for (int k = 0; k < 4; k++) {
        cut_off(c);
        if (k == 0) envelope.fingerprint.text[0] = '1';
        if (k == 1 && test_par.rank == 0) { /* one bit of a row */
            FILE *f = fopen(path_of("hurt.fits.part"), "r+");
            fseek(f, 30000, SEEK_SET);
            const int byte = fgetc(f);
            fseek(f, 30000, SEEK_SET);
            fputc(byte ^ 4, f);
            fclose(f);
        }
        if (k == 2 && test_par.rank == 0) CU_ASSERT(truncate(path_of("hurt.fits.state.part"), 60) == 0);
        again = k == 3; /* --force */
        par_barrier(&test_par);
        CHECK_OK(search("hurt.fits", &c, NULL, &test_par));
        again = false;
        envelope.fingerprint.text[0] = '0';
        CU_ASSERT_DOUBLE_EQUAL(told.products, all, 0);
        par_barrier(&test_par);
        CU_ASSERT(!there("hurt.fits.part") && !there("hurt.fits.state.part"));
        sums_of(got, "hurt.fits");
        CU_ASSERT(memcmp(want, got, sizeof want) == 0);
        par_barrier(&test_par);
        if (test_par.rank == 0) remove(path_of("hurt.fits"));
        par_barrier(&test_par);
    }
}

/* Blocks of 64 rows have an index each: whoever holds them, in whatever batch. */
static void an_index_proposes_the_same_on_any_ranks_and_knows_how_good_it_is(void)
{
    char want[2][80] = {""}, got[2][80] = {""};
    SearchConfig c = usual();
    Matches m;
    if (!ann_available()) {
        test_skip("built without FAISS");
        return;
    }
    c.all = true;
    write_inputs();
    for (c.index = INDEX_IVF; c.index <= INDEX_HNSW; c.index++) {
        c.batch = 1000;
        if (test_par.rank == 0) CHECK_OK(search("alone.fits", &c, NULL, &par_alone));
        par_barrier(&test_par);
        sums_of(want, "alone.fits");
        c.batch = 37; /* becomes a group */
        CHECK_OK(search("spread.fits", &c, NULL, &test_par));
        sums_of(got, "spread.fits");
        CU_ASSERT(memcmp(want, got, sizeof want) == 0);
        const SearchTold first = told;
        cut_off(c);
        CHECK_OK(search("hurt.fits", &c, NULL, &test_par)); /* goes on, and so does the recall */
        CU_ASSERT(told.products < first.products);
        sums_of(got, "hurt.fits");
        CU_ASSERT(memcmp(want, got, sizeof want) == 0);
        CU_ASSERT(memcmp(first.recall, told.recall, sizeof told.recall) == 0);
        read_back(&m, "hurt.fits");
        CU_ASSERT_EQUAL(m.n, first.matches); /* as many as the exact search */
        CU_ASSERT(strcmp(m.index, search_indices[c.index]) == 0);
        for (int d = 0; d < N_DIRECTIONS; d++)
            CU_ASSERT(m.recall[d] > 0.8 && m.recall[d] <= 1 && fabs(m.recall[d] - told.recall[d]) < 1e-12);
        par_barrier(&test_par);
    }
    c.index = INDEX_IVF;
    c.keep_gb = 0;
    CHECK_FAILS(search("spread.fits", &c, NULL, &test_par), E_CONFIG);
}

TEST_MAIN("search", {"everybody finds the matches of brute force", everybody_finds_the_matches_of_brute_force},
          {"the same bytes on any ranks, in any batch, kept or read again",
           the_same_bytes_on_any_ranks_in_any_batch_kept_or_read_again},
          {"what is asked for is found or said to be missing", what_is_asked_for_is_found_or_said_to_be_missing},
          {"a table names queries by TARGETID or by position", a_table_names_queries_by_targetid_or_by_position},
          {"without a query some rows with both are drawn", without_a_query_some_rows_with_both_are_drawn},
          {"new objects find rows and are found by none", new_objects_find_rows_and_are_found_by_none},
          {"more neighbours than rows are all rows", more_neighbours_than_rows_are_all_rows},
          {"a failure at any point on any rank leaves nothing", a_failure_at_any_point_on_any_rank_leaves_nothing},
          {"an index proposes the same on any ranks, and knows how good it is",
           an_index_proposes_the_same_on_any_ranks_and_knows_how_good_it_is},
          {"what was saved is not done again", what_was_saved_is_not_done_again},
          {"what was saved for another question, or is damaged, is done again",
           what_was_saved_for_another_question_or_damaged_is_done_again})
