/* ann.c - which lists an index has, and what is said where there is no FAISS. */
#include "probe/ann.h"

#include <math.h>
#include <stddef.h>

#ifdef HAVE_FAISS
#include "ann_faiss.h"

bool ann_available(void) { return true; }
const char *ann_version(void) { return faiss_version(); }

/* As many as the root of n: then the centres take as long as a list. */
static int64_t lists_of(int64_t n)
{
    const int64_t lists = (int64_t)sqrt((double)n);
    return lists > 1 ? lists : 1;
}

Status ann_build(Ann **out, AnnKind kind, const float *x, int64_t n, int64_t dim, int64_t probes)
{
    char text[FAISS_TEXT];
    void *index;
    const int bad = faiss_build(&index, text, kind == ANN_HNSW, x, n, dim, lists_of(n), probes);
    *out = index;
    return bad ? FAIL(E_MEMORY, "FAISS cannot index %lld vectors: %s", (long long)n, text) : OK;
}

Status ann_find(int64_t *found, Ann *a, const float *query, int64_t n, int64_t k)
{
    char text[FAISS_TEXT];
    return faiss_find(found, text, a, query, n, k) ? FAIL(E_MEMORY, "FAISS cannot search: %s", text) : OK;
}

void ann_free(Ann *a) { faiss_free(a); }

double ann_bytes(AnnKind kind, int64_t n, int64_t dim)
{
    const double beside = kind == ANN_HNSW ? 4.0 * 2.2 * FAISS_LINKS + 16 : 8; /* links; numbers of the vectors */
    return (double)n * (4.0 * (double)dim + beside);
}

#else

static Status no_faiss(void)
{
    return FAIL(E_CONFIG, "this program was built without FAISS: install it (Debian: libfaiss-dev) and a C++ compiler, "
                          "and build again");
}

bool ann_available(void) { return false; }
const char *ann_version(void) { return ""; }

Status ann_build(Ann **out, AnnKind kind, const float *x, int64_t n, int64_t dim, int64_t probes)
{
    (void)kind, (void)x, (void)n, (void)dim, (void)probes;
    *out = NULL;
    return no_faiss();
}

Status ann_find(int64_t *found, Ann *a, const float *query, int64_t n, int64_t k)
{
    (void)found, (void)a, (void)query, (void)n, (void)k;
    return no_faiss();
}

void ann_free(Ann *a) { (void)a; }

double ann_bytes(AnnKind kind, int64_t n, int64_t dim)
{
    (void)kind;
    return 4.0 * (double)(n * dim);
}

#endif
