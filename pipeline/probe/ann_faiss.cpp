/* ann_faiss.cpp - FAISS behind C functions. Vectors have length 1, so that squared distances order them as cosines do. */
#include "ann_faiss.h"

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVFFlat.h>
#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <vector>

namespace
{

const int seed = 1, rounds = 10, breadth = 80; /* of the k-means; candidates while a graph is built */

/* Threads would add points to a graph in an order of their own. */
template <typename Work> int guarded(char *text, const Work &work)
{
    try {
        omp_set_num_threads(1);
        work();
        return 0;
    } catch (const std::exception &e) {
        std::snprintf(text, FAISS_TEXT, "%s", e.what());
    } catch (...) {
        std::snprintf(text, FAISS_TEXT, "unknown exception");
    }
    return 1;
}

faiss::Index *make_graph(int64_t dim, int64_t probes)
{
    auto graph = std::make_unique<faiss::IndexHNSWFlat>((int)dim, (int)FAISS_LINKS, faiss::METRIC_L2);
    graph->hnsw.efConstruction = breadth;
    graph->hnsw.efSearch = (int)probes;
    return graph.release();
}

faiss::Index *make_lists(int64_t dim, int64_t lists, int64_t probes)
{
    auto centres = std::make_unique<faiss::IndexFlatL2>(dim);
    auto index = std::make_unique<faiss::IndexIVFFlat>(centres.get(), (size_t)dim, (size_t)lists, faiss::METRIC_L2);
    centres.release();
    index->own_fields = true;
    index->cp.seed = seed;
    index->cp.niter = rounds;
    index->cp.min_points_per_centroid = 1; /* no warning of few */
    index->nprobe = (size_t)std::min(lists, probes);
    return index.release();
}

} // namespace

const char *faiss_version(void)
{
    static char text[32];
    std::snprintf(text, sizeof text, "%d.%d.%d", FAISS_VERSION_MAJOR, FAISS_VERSION_MINOR, FAISS_VERSION_PATCH);
    return text;
}

int faiss_build(void **out, char text[FAISS_TEXT], int graph, const float *x, int64_t n, int64_t dim, int64_t lists,
                int64_t probes)
{
    *out = nullptr;
    return guarded(text, [&] {
        std::unique_ptr<faiss::Index> index(graph ? make_graph(dim, probes) : make_lists(dim, lists, probes));
        index->train(n, x);
        index->add(n, x);
        *out = index.release();
    });
}

int faiss_find(int64_t *found, char text[FAISS_TEXT], const void *index, const float *query, int64_t n, int64_t k)
{
    return guarded(text, [&] {
        std::vector<float> distance((size_t)(n * k));
        static_cast<const faiss::Index *>(index)->search(n, query, k, distance.data(), found);
    });
}

void faiss_free(void *index) { delete static_cast<faiss::Index *>(index); }
