/* The approximate index: neighbours among clusters, the same candidates each time; where the program has FAISS. */
#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "probe/ann.h"
#include "probe/cosine.h"
#include "test_main.h"

enum { N = 4000, DIM = 24, CLUSTERS = 80, QUERIES = 200, K = 10 };

/* Points of length 1 around random centres, as galaxies of a kind lie. */
static float *clusters(void)
{
    float *x = NULL;
    CHECK_OK(arena_new(&x, &test_arena, N * DIM));
    for (int64_t i = 0; i < N; i++) {
        double v[DIM];
        float norm;
        for (int64_t d = 0; d < DIM; d++) {
            v[d] = sin(1.7 * (double)((i % CLUSTERS) * DIM + d) + 0.3 * (double)(d * d)) +
                   0.3 * sin(12.9898 * (double)(i * DIM + d) + 78.233 * (double)(i % 97));
            x[i * DIM + d] = (float)v[d];
        }
        norm = (float)cosine_norm(x + i * DIM, DIM);
        for (int64_t d = 0; d < DIM; d++) x[i * DIM + d] /= norm;
    }
    return x;
}

static double recall_of(AnnKind kind, int64_t probes, const float *x, int64_t *found)
{
    Ann *a = NULL;
    CosineSearch s;
    double norm[N], hits = 0;
    int64_t row[N];
    CHECK_OK(ann_build(&a, kind, x, N, DIM, probes));
    CHECK_OK(ann_find(found, a, x, QUERIES, K));
    ann_free(a);
    for (int64_t i = 0; i < N; i++) norm[i] = cosine_norm(x + i * DIM, DIM), row[i] = i;
    CHECK_OK(cosine_open(&s, K, DIM, x, QUERIES, &test_arena));
    cosine_add(&s, x, norm, row, row, N);
    for (int64_t i = 0; i < QUERIES * K; i++)
        for (int64_t j = 0; j < K; j++) hits += found[i] == s.best[i / K * K + j].row;
    return hits / (QUERIES * K);
}

static void most_neighbours_are_found_and_the_same_again(void)
{
    static int64_t found[QUERIES * K], again[QUERIES * K];
    if (!ann_available()) {
        test_skip("built without FAISS");
        return;
    }
    const float *x = clusters();
    for (int kind = 0; kind < 2; kind++) {
        const double recall = recall_of((AnnKind)kind, 16, x, found);
        CU_ASSERT(recall > 0.9); /* of 63 lists 16, of 4000 points 16 at a time */
        CU_ASSERT(recall_of((AnnKind)kind, 16, x, again) == recall);
        CU_ASSERT(memcmp(found, again, sizeof found) == 0);
    }
    CU_ASSERT(recall_of(ANN_IVF, 1, x, found) < recall_of(ANN_IVF, 63, x, again)); /* `probes` is heeded */
    CU_ASSERT(recall_of(ANN_IVF, 63, x, found) > 0.999);                           /* all lists: all but ties */
}

static void fewer_vectors_than_asked_for_leave_gaps(void)
{
    int64_t found[5];
    Ann *a = NULL;
    if (!ann_available()) {
        test_skip("built without FAISS");
        return;
    }
    const float *x = clusters();
    for (int kind = 0; kind < 2; kind++) {
        CHECK_OK(ann_build(&a, (AnnKind)kind, x, 2, DIM, 8));
        CHECK_OK(ann_find(found, a, x, 1, 5));
        ann_free(a);
        CU_ASSERT(found[0] == 0 && found[2] == -1 && found[4] == -1);
    }
}

TEST_MAIN("ann", {"most neighbours are found, and the same again", most_neighbours_are_found_and_the_same_again},
          {"fewer vectors than asked for leave gaps", fewer_vectors_than_asked_for_leave_gaps})
