/* search.c - bench_search N QUERIES K DIM VECTORS FOUND: the neighbours by cosine of the first QUERIES among the N vectors of a file of
   floats, one rank, one thread; rows to FOUND (QUERIES, K) int64, seconds to stdout. For search.py. */
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/log.h"
#include "nn/gemm.h"
#include "par/par.h"
#include "probe/cosine.h"

enum { BATCH = 4096 }; /* as search.batch comes */

static Status load(float *x, int64_t n, const char *path)
{
    FILE *f = fopen(path, "rb");
    const bool good = f && fread(x, sizeof *x, (size_t)n, f) == (size_t)n;
    if (f) fclose(f);
    return good ? OK : FAIL(E_INPUT, "%s does not hold %lld floats", path, (long long)n);
}

static Status run(double *seconds, int64_t n, int64_t queries, int64_t k, int64_t dim, const char *from, const char *to,
                  Arena *a)
{
    float *x = NULL;
    double *norm = NULL;
    int64_t *row = NULL;
    FILE *out = fopen(to, "wb");
    if (!out) return FAIL(E_OUTPUT, "%s cannot be written", to);
    TRY(arena_new(&x, a, n * dim));
    TRY(arena_new(&norm, a, n));
    TRY(arena_new(&row, a, n));
    TRY(load(x, n * dim, from));
    const double start = clock_now();
    for (int64_t i = 0; i < n; i++) norm[i] = cosine_norm(x + i * dim, dim), row[i] = i;
    for (int64_t at = 0; at < queries; at += BATCH) {
        const Mark mark = arena_mark(a);
        const int64_t here = queries - at < BATCH ? queries - at : BATCH;
        CosineSearch s;
        TRY(cosine_open(&s, k, dim, x + at * dim, here, a));
        cosine_add(&s, x, norm, row, row, n);
        for (int64_t i = 0; i < here; i++)
            for (int64_t j = 0; j < k; j++) fwrite(&s.best[i * k + j].row, sizeof(int64_t), 1, out);
        arena_reset(a, mark);
    }
    *seconds = clock_now() - start;
    return fclose(out) == 0 ? OK : FAIL(E_OUTPUT, "%s cannot be written", to);
}

int main(int argc, char **argv)
{
    Arena a = {0};
    double seconds = 0;
    Status st = argc == 7 ? OK : FAIL(E_CONFIG, "usage: bench_search N QUERIES K DIM VECTORS FOUND");
    log_quiet(true);
    if (st == OK) st = arena_init(&a, "bench", 0);
    if (st == OK) st = gemm_choose("auto", 1);
    if (st == OK)
        st = run(&seconds, atoll(argv[1]), atoll(argv[2]), atoll(argv[3]), atoll(argv[4]), argv[5], argv[6], &a);
    if (st == OK) printf("%.4f\n", seconds);
    arena_free(&a);
    if (st != OK) fail_print(stderr, 1);
    return st;
}
