/* crossentropy.c - softmax with the largest score taken off first; the loss is summed in double. */
#include "nn/crossentropy.h"

#include "nn/vector.h"

static double forward_row(real *probability, const real *score, int64_t target, int64_t n)
{
    const real largest = vector_max(score, n);
    const double right = (double)score[target] - (double)largest; /* before probability replaces score */
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        probability[i] = R(exp)(score[i] - largest);
        sum += (double)probability[i];
    }
    for (int64_t i = 0; i < n; i++) probability[i] = (real)((double)probability[i] / sum);
    return log(sum) - right;
}

double crossentropy_forward(real *probability, const real *score, const int64_t *target, int64_t rows, int64_t n)
{
    double loss = 0;
    for (int64_t r = 0; r < rows; r++) loss += forward_row(probability + r * n, score + r * n, target[r], n);
    return loss;
}

void crossentropy_backward(real *d_score, const real *probability, const int64_t *target, real d_loss, int64_t rows,
                           int64_t n)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < n; i++) d_score[r * n + i] += d_loss * probability[r * n + i];
        d_score[r * n + target[r]] -= d_loss;
    }
}
