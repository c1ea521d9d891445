/* masked.c - hiding chunks of a spectrum's tokens, and the loss on what was hidden. */
#include "model/masked.h"

#include <string.h>

Status mask_draw(int64_t *start, const MaskConfig *c, int64_t n_tokens, Rng *rng)
{
    const int64_t places = n_tokens / c->num_chunks - c->chunk_width;
    if ((2 * c->num_chunks - 1) * c->chunk_width > n_tokens || places < 1)
        return FAIL(E_CONFIG, "%lld chunks of %lld tokens cannot be masked in a spectrum of %lld tokens",
                    (long long)c->num_chunks, (long long)c->chunk_width, (long long)n_tokens);
    for (int64_t i = 0; i < c->num_chunks; i++) start[i] = i * n_tokens / c->num_chunks + rng_below(rng, places);
    return OK;
}

void mask_apply(real *masked, const MaskConfig *c, const int64_t *start, const real *tokens, int64_t n_tokens,
                int64_t width)
{
    memcpy(masked, tokens, sizeof *masked * (size_t)(n_tokens * width));
    for (int64_t i = 0; i < c->num_chunks; i++) {
        MUST(start[i] >= 0 && start[i] + c->chunk_width <= n_tokens);
        memset(masked + start[i] * width, 0, sizeof *masked * (size_t)(c->chunk_width * width));
    }
}

int64_t masked_count(const real *masked, const real *tokens, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += masked[i] != tokens[i];
    return count;
}

double masked_squares(const real *reconstruction, const real *masked, const real *tokens, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double residual = (double)reconstruction[i] - (double)tokens[i];
        if (masked[i] != tokens[i]) sum += residual * residual;
    }
    return sum;
}

void masked_backward(real *d_reconstruction, const real *reconstruction, const real *masked, const real *tokens,
                     int64_t n, int64_t count)
{
    if (count == 0) return;
    const real scale = (real)(2.0 / (double)count);
    for (int64_t i = 0; i < n; i++)
        if (masked[i] != tokens[i]) d_reconstruction[i] += scale * (reconstruction[i] - tokens[i]);
}
