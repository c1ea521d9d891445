/* test_gelu.c - GELU and the 2^t below it, against libm in double. */
#include "nn/gelu.h"
#include "nn/vector.h"
#include "test_main.h"

static const double polynomial = 1.2e-7; /* of max(1, |x|): the fit (8e-9) and the rounding of a dozen float steps */

static double exact(double x) { return 0.5 * x * erfc(-x / sqrt(2.0)); }

static void follows_the_exact_form(void)
{
    double worst = 0;
    for (int i = -120000; i <= 120000; i++) {
        const real x = (real)(i * 1e-4);
        real y;
        gelu_forward(&y, &x, 1);
        worst = fmax(worst, fabs((double)y - exact((double)x)) / fmax(1, fabs((double)x)));
    }
    CU_ASSERT(worst < polynomial);
    if (worst >= polynomial) printf("largest error %g\n", worst);
}

static void ends_are_the_identity_and_zero(void)
{
    const real x[] = {0, 40, -40, 1000, -1000};
    real y[5];
    gelu_forward(y, x, 5);
    CU_ASSERT_EQUAL(y[0], 0);
    CU_ASSERT_EQUAL(y[1], 40);
    CU_ASSERT_EQUAL(y[3], 1000);
    CU_ASSERT_DOUBLE_EQUAL(y[2], 0, 1e-9); /* 20 x 3e-12 */
    CU_ASSERT_DOUBLE_EQUAL(y[4], 0, 1e-8);
}

static void position_in_the_array_does_not_matter(void)
{
    real x[77], y[77], alone;
    for (int i = 0; i < 77; i++) x[i] = (real)(i - 38) / 7;
    gelu_forward(y, x, 77);
    for (int i = 0; i < 77; i++) {
        gelu_forward(&alone, x + i, 1);
        CU_ASSERT_EQUAL(alone, y[i]);
    }
}

static void nan_stays_nan(void)
{
    const real x = (real)NAN;
    real y;
    gelu_forward(&y, &x, 1);
    CU_ASSERT(isnan(y));
    CU_ASSERT(isnan(vector_exp2(x)));
}

static void exp2_is_accurate(void)
{
    double worst = 0;
    for (int i = -125000; i <= 20000; i++) {
        const real t = (real)(i * 1e-3);
        worst = fmax(worst, fabs((double)vector_exp2(t) / exp2((double)t) - 1));
    }
    CU_ASSERT(worst < 2.5e-7);
    CU_ASSERT_EQUAL(vector_exp2(0), 1);
    CU_ASSERT(vector_exp2(-1000) < 1e-37);
}

TEST_MAIN("gelu", {"the exact form is followed", follows_the_exact_form},
          {"far ends are the identity and zero", ends_are_the_identity_and_zero},
          {"the position in an array does not matter", position_in_the_array_does_not_matter},
          {"NaN stays NaN", nan_stays_nan}, {"2^t is right to float's last digits", exp2_is_accurate})
