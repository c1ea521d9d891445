/* gemm_parts.c - threads for one product: started for it, gone after it. */
#include "gemm_parts.h"

#include <pthread.h>
#include <stdbool.h>

#include "nn/gemm.h"

enum {
    PANEL = 96,                 /* whole panels of every provider: 2 GEMM_ROWS, 32 */
    THREAD_PRODUCT = 100 << 20, /* multiplications per thread below which starting it (20 microseconds) does not pay */
    MAX_THREADS = 64,
};

typedef struct {
    void (*multiply)(const void *product, int64_t from, int64_t to);
    const void *product;
    int64_t from, to;
} Part;

static void *run_part(void *part)
{
    const Part *p = part;
    p->multiply(p->product, p->from, p->to);
    return NULL;
}

void gemm_parts(int n_threads, int64_t rows, int64_t row_work,
                void (*multiply)(const void *product, int64_t from, int64_t to), const void *product)
{
    const int64_t panels = rows / PANEL;
    int64_t n = n_threads < panels ? n_threads : panels;
    if (n > MAX_THREADS) n = MAX_THREADS;
    while (n > 1 && panels / n * PANEL * row_work < THREAD_PRODUCT) n--;
    if (n < 1) n = 1;
    Part part[MAX_THREADS];
    pthread_t thread[MAX_THREADS];
    bool started[MAX_THREADS];
    for (int64_t i = 0; i < n; i++) {
        part[i] = (Part){multiply, product, panels * i / n * PANEL, i + 1 < n ? panels * (i + 1) / n * PANEL : rows};
        started[i] = i > 0 && pthread_create(&thread[i], NULL, run_part, &part[i]) == 0;
    }
    for (int64_t i = 0; i < n; i++)
        if (!started[i]) run_part(&part[i]);
    for (int64_t i = 0; i < n; i++)
        if (started[i]) pthread_join(thread[i], NULL);
}
