/* test_flipblur.c - mirrored and blurred planes against the definition: a 3 x 3 kernel on a plane mirrored at its edge. */
#include <math.h>
#include <stdlib.h>

#include "model/flipblur.h"
#include "test_main.h"

enum { SIZE = 7, PLANES = 2 };

static int64_t mirror(int64_t i) { return i < 0 ? -i : i >= SIZE ? 2 * SIZE - 2 - i : i; }

static void planes_are_flipped_and_blurred(void)
{
    for (int turn = 0; turn < 4; turn++) {
        const FlipBlur f = {turn & 1, turn & 2, 0.8};
        real x[PLANES * SIZE * SIZE], y[PLANES * SIZE * SIZE];
        for (int i = 0; i < PLANES * SIZE * SIZE; i++) x[i] = y[i] = (real)sin(1.7 * i);
        CHECK_OK(flipblur_apply(y, &f, PLANES, SIZE, &test_arena));
        const double side = exp(-1 / (2 * 0.8 * 0.8)),
                     weight[3] = {side / (1 + 2 * side), 1 / (1 + 2 * side), side / (1 + 2 * side)};
        for (int64_t i = 0; i < SIZE; i++)
            for (int64_t j = 0; j < SIZE; j++) {
                double want = 0;
                for (int a = -1; a <= 1; a++)
                    for (int b = -1; b <= 1; b++) {
                        int64_t row = mirror(i + a), column = mirror(j + b);
                        if (f.rows) row = SIZE - 1 - row;
                        if (f.columns) column = SIZE - 1 - column;
                        want += weight[a + 1] * weight[b + 1] * (double)x[SIZE * SIZE + row * SIZE + column];
                    }
                CU_ASSERT_DOUBLE_EQUAL(y[SIZE * SIZE + i * SIZE + j], want, 1e-6); /* floats of order 1 */
            }
    }
}

/* Half of the batches are flipped each way; sigma fills its range. */
static void draws_are_spread(void)
{
    int columns = 0, rows = 0;
    double least = 9, most = 0;
    for (int i = 0; i < 1000; i++) {
        Rng rng = rng_stream(1, "test", i, 0);
        const FlipBlur f = flipblur_draw(&rng);
        columns += f.columns;
        rows += f.rows;
        least = fmin(least, f.sigma);
        most = fmax(most, f.sigma);
    }
    CU_ASSERT(abs(columns - 500) < 80 && abs(rows - 500) < 80); /* five standard deviations of 1000 coins */
    CU_ASSERT(least >= 0.1 && least < 0.13 && most <= 2 && most > 1.97);
}

TEST_MAIN("flipblur", {"planes are flipped and blurred", planes_are_flipped_and_blurred},
          {"draws are spread", draws_are_spread})
