/* LAYER: probe
   Similarity search against golden/downstream.h5: the eight best in all four directions, their scores, and the rank of each
   object's partner in the other modality. */
#include <stdlib.h>

#include "golden.h"
#include "probe/cosine.h"

static const double score_tolerance = 1e-12; /* scores are in double on both sides: sums in another order */

typedef struct {
    float *x[2]; /* images, spectra */
    int64_t n, dim, n_queries;
    int64_t *query, *id;
    double *norm[2];
} Pairs;

static bool load(Pairs *p, H5File *g)
{
    static const char *const name[] = {"inputs/similarity/image_embeddings", "inputs/similarity/spectrum_embeddings"};
    H5Shape s;
    if (!golden_open(g, "downstream.h5")) return false;
    p->query = golden_i64(&s, g, "inputs/similarity/query");
    p->n_queries = s.dims[0];
    for (int m = 0; m < 2; m++) {
        p->x[m] = golden_f32(&s, g, name[m]);
        p->n = s.dims[0];
        p->dim = s.dims[1];
        CHECK_OK(arena_new(&p->norm[m], &test_arena, p->n));
        for (int64_t i = 0; i < p->n; i++) p->norm[m][i] = cosine_norm(p->x[m] + i * p->dim, p->dim);
    }
    CHECK_OK(arena_new(&p->id, &test_arena, p->n));
    for (int64_t i = 0; i < p->n; i++) p->id[i] = i;
    return true;
}

static void the_best_are_the_published_ones(void)
{
    static const struct {
        const char *name;
        int from, to;
    } direction[] = {{"im_sim", 0, 0}, {"sp_sim", 1, 1}, {"x_im_sim", 0, 1}, {"x_sp_sim", 1, 0}};
    Pairs p;
    H5File g;
    if (!load(&p, &g)) return;
    for (int d = 0; d < 4; d++) {
        H5Shape s;
        CosineSearch c;
        float *q = NULL;
        const int64_t *index = golden_i64(&s, &g, golden_name("outputs/similarity/%s/index", direction[d].name));
        const double *want = golden_f64(&s, &g, golden_name("outputs/similarity/%s/score", direction[d].name));
        const int64_t k = s.dims[1];
        CHECK_OK(arena_new(&q, &test_arena, p.n_queries * p.dim));
        for (int64_t i = 0; i < p.n_queries; i++)
            memcpy(q + i * p.dim, p.x[direction[d].from] + p.query[i] * p.dim, sizeof *q * (size_t)p.dim);
        CHECK_OK(cosine_open(&c, k, p.dim, q, p.n_queries, &test_arena));
        cosine_add(&c, p.x[direction[d].to], p.norm[direction[d].to], p.id, p.id, p.n);
        for (int64_t i = 0; i < p.n_queries * k; i++) {
            CU_ASSERT_EQUAL(c.best[i].row, index[i]);
            CU_ASSERT_DOUBLE_EQUAL(c.best[i].score, want[i], score_tolerance);
        }
    }
    h5_close(&g);
}

static void partners_are_found_at_their_ranks(void)
{
    Pairs p;
    H5File g;
    CosineSearch c;
    if (!load(&p, &g)) return;
    const double *want = golden_want(&g, "outputs/similarity/rank_of_pair", p.n);
    CHECK_OK(cosine_open(&c, p.n, p.dim, p.x[0], p.n, &test_arena));
    cosine_add(&c, p.x[1], p.norm[1], p.id, p.id, p.n);
    for (int64_t i = 0; i < p.n; i++) {
        int64_t rank = 0;
        while (rank < p.n && c.best[i * p.n + rank].row != i) rank++;
        CU_ASSERT_EQUAL(rank, (int64_t)want[i]);
    }
    h5_close(&g);
}

TEST_MAIN("similarity",
          {"the best in four directions are the published ones, with their scores", the_best_are_the_published_ones},
          {"partners are found at their ranks", partners_are_found_at_their_ranks})
