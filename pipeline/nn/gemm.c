/* gemm.c - which provider computes the matrix products, and the check that it keeps rows apart. */
#include "nn/gemm.h"

#include <string.h>

#include "core/arena.h"
#include "core/version.h"

const GemmProvider *const gemm_providers[] = {&gemm_amx, &gemm_avx512, &gemm_openblas, &gemm_onednn, &gemm_ref, NULL};

static const GemmProvider *chosen = &gemm_ref;

static int64_t row_unit = GEMM_ROWS;

static bool rounded; /* linear layers multiply numbers of bf16 */

const GemmProvider *gemm(void) { return chosen; }

/* Products of bf16 of the provider's own, else NULL. */
static const GemmProvider *own_bf16(const GemmProvider *provider)
{
    if (provider == &gemm_amx) return &gemm_amx_bf16;
    return provider == &gemm_onednn && gemm_onednn_bf16.available() ? &gemm_onednn_bf16 : NULL;
}

const GemmProvider *gemm_linear(void)
{
    if (!rounded) return chosen;
    const GemmProvider *own = own_bf16(chosen);
    return own ? own : &gemm_bf16;
}

int64_t gemm_row_unit(void) { return row_unit; }

Status gemm_precision(const char *name)
{
    const bool bf16 = strcmp(name, "bf16") == 0;
    if (!bf16 && strcmp(name, "f32") != 0)
        return FAIL(E_CONFIG, "matrix products: no precision '%s'; there are: f32, bf16", name);
    rounded = bf16;
    return OK;
}

/* One shape per way of computing that the providers have: small products in panels, large ones at once. */
static const int64_t check_shapes[][2] = {{48, 22}, {120, 192}, {256, 256}};

static Status check(bool *good, const GemmProvider *provider)
{
    *good = true;
    for (size_t i = 0; i < sizeof check_shapes / sizeof *check_shapes; i++) {
        bool keeps;
        TRY(gemm_keeps_rows(&keeps, provider, check_shapes[i][0], check_shapes[i][1], GEMM_ROWS));
        *good = *good && keeps;
    }
    return OK;
}

static Status measure_unit(void)
{
    const GemmProvider *const both[] = {chosen, own_bf16(chosen)};
    row_unit = 1;
    for (size_t i = 0; i < sizeof check_shapes / sizeof *check_shapes; i++) {
        for (int k = 0; k < 2 && both[k]; k++) {
            bool any;
            TRY(gemm_keeps_rows(&any, both[k], check_shapes[i][0], check_shapes[i][1], 1));
            if (!any) row_unit = GEMM_ROWS;
        }
    }
    return OK;
}

Status gemm_choose(const char *name, int threads)
{
    const bool any = strcmp(name, "auto") == 0;
    char names[128] = "auto";
    for (const GemmProvider *const *p = gemm_providers; *p; p++) {
        if (!(*p)->available()) continue;
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, ", %s", (*p)->name);
        if (!any && strcmp(name, (*p)->name) != 0) continue;
        (*p)->set_threads(threads > 1 ? threads : 1);
        bool good, good_bf16 = true;
        TRY(check(&good, *p));
        if (own_bf16(*p)) TRY(check(&good_bf16, own_bf16(*p)));
        if (good && good_bf16) {
            gemm_keep_none();
            chosen = *p;
            return measure_unit();
        }
        if (!any)
            return FAIL(E_CONFIG,
                        "matrix products by '%s' (%s): on this CPU a row's result depends on the other rows, so that "
                        "results would not "
                        "repeat; choose another provider",
                        name, (*p)->version());
    }
    return FAIL(E_CONFIG, "matrix products: no provider '%s' in this build; there are: %s", name, names);
}

const char *gemm_provider_text(void)
{
    static char text[128];
    snprintf(text, sizeof text, "%s %s, %s%s", chosen->name, chosen->version(), rounded ? "bf16, " : "",
             program_instructions());
    return text;
}

/* ---- kept weights ---- */

enum { MOST_KEPT = 1024 }; /* a power of two, above twice the matrices of the largest model */

static struct {
    const real *w, *kept;
} kept_table[MOST_KEPT];
static int n_kept;

/* Where w stands in the table, or the free place where it would. */
static int place_of(const real *w)
{
    uint64_t at = (uint64_t)(uintptr_t)w * 0x9e3779b97f4a7c15u >> 54;
    while (kept_table[at].w && kept_table[at].w != w) at = (at + 1) % MOST_KEPT;
    return (int)at;
}

int64_t gemm_kept_reals(int64_t n_out, int64_t n_in)
{
    const GemmProvider *p = gemm_linear();
    return p->kept_reals ? p->kept_reals(n_out, n_in) : 0;
}

void gemm_keep(real *kept, const real *w, int64_t n_out, int64_t n_in, bool fill)
{
    const GemmProvider *p = gemm_linear();
    if (gemm_kept_reals(n_out, n_in) == 0) return;
    if (fill) p->keep(kept, w, n_out, n_in);
    const int at = place_of(w);
    if (!kept_table[at].w && ++n_kept > MOST_KEPT / 2) return; /* the rest is read as it is */
    kept_table[at].w = w;
    kept_table[at].kept = kept;
}

void gemm_keep_none(void)
{
    memset(kept_table, 0, sizeof kept_table);
    n_kept = 0;
}

const real *gemm_kept(const real *w) { return n_kept > 0 ? kept_table[place_of(w)].kept : NULL; }

/* ---- the check ---- */

enum { CHECK_ROWS = 160, CHECK_ARENA = 1 << 30 };

/* Numbers in -0.5 .. 0.5 with full mantissas, so that another order of summation shows. */
static void fill(real *x, int64_t n, uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (real)(state >> 8) / (real)(1 << 24) - (real)0.5;
    }
}

typedef struct {
    const GemmProvider *provider;
    const real *w;
    int64_t n_out, n_in;
    bool backward;
} Shape;

static void multiply(real *y, const real *x, const Shape *s, int64_t rows)
{
    if (!s->backward) {
        s->provider->forward(y, x, s->w, NULL, rows, s->n_out, s->n_in);
        return;
    }
    memset(y, 0, sizeof *y * (size_t)(rows * s->n_in));
    s->provider->backward_x(y, x, s->w, rows, s->n_out, s->n_in);
}

static Status same_rows(bool *same, const Shape *s, int64_t stride, Arena *a)
{
    static const int64_t counts[] = {1, 2, 3, 5, 15, 16, 17, 33, 47, 48, 49, 97};
    static const int64_t offsets[] = {0, 1, 2}; /* strides */
    const int64_t from = s->backward ? s->n_out : s->n_in, to = s->backward ? s->n_in : s->n_out;
    real *x, *all, *some;
    TRY(arena_new(&x, a, CHECK_ROWS * from));
    TRY(arena_new(&all, a, CHECK_ROWS * to));
    TRY(arena_new(&some, a, CHECK_ROWS * to));
    fill(x, CHECK_ROWS * from, 7);
    multiply(all, x, s, CHECK_ROWS);
    *same = true;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (size_t o = 0; o < sizeof offsets / sizeof *offsets; o++) {
            multiply(some, x + offsets[o] * stride * from, s, counts[c]);
            if (memcmp(some, all + offsets[o] * stride * to, sizeof *some * (size_t)(counts[c] * to)) != 0)
                *same = false;
        }
    }
    return OK;
}

Status gemm_keeps_rows(bool *keeps, const GemmProvider *provider, int64_t n_out, int64_t n_in, int64_t stride)
{
    Status st = OK;
    Arena a = {0};
    real *w;
    TRY_DONE(arena_init(&a, "gemm check", CHECK_ARENA));
    TRY_DONE(arena_new(&w, &a, n_out * n_in));
    fill(w, n_out * n_in, 3);
    bool forward, backward;
    TRY_DONE(same_rows(&forward, &(Shape){provider, w, n_out, n_in, false}, stride, &a));
    TRY_DONE(same_rows(&backward, &(Shape){provider, w, n_out, n_in, true}, stride, &a));
    *keeps = forward && backward;
done:
    arena_free(&a);
    return st;
}
