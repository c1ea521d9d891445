/* Against golden/provabgs.h5: ages, star formation rates, metallicities and mean ages of the parameters there. */
#include <math.h>

#include "data/provabgs.h"
#include "golden.h"

static void the_golden_parameters(void)
{
    H5File g;
    H5Shape s;
    if (!golden_open(&g, "provabgs.h5")) return;
    const double *theta = golden_f64(&s, &g, "inputs/theta");
    const int64_t n = s.dims[0], width = s.dims[1];
    CU_ASSERT_EQUAL_FATAL(width, PROVABGS_PARAMETERS);
    const double *z = golden_want(&g, "inputs/zred", n), *age = golden_want(&g, "outputs/tage_Gyr", n),
                 *sfr = golden_want(&g, "outputs/avgSFR_1Gyr", n), *z_mw = golden_want(&g, "outputs/Z_MW", n),
                 *tage = golden_want(&g, "outputs/TAGE_MW", n),
                 *released = golden_want(&g, "outputs/sSFR_released_code", n);
    double worst[4] = {0};
    for (int64_t i = 0; i < n; i++) {
        const ProvabgsProperties p = provabgs_properties(theta + i * width, z[i]);
        worst[0] = fmax(worst[0], fabs(p.age / age[i] - 1));
        worst[1] = fmax(worst[1], fabs(p.avgsfr / sfr[i] - 1));
        worst[2] = fmax(worst[2], fabs(p.z_mw / z_mw[i] - 1));
        worst[3] = fmax(worst[3], fabs(p.tage_mw / tage[i] - 1));
        CU_ASSERT(fabs(log(p.avgsfr) - log(p.z_mw) - released[i]) < 2e-6);
    }
    /* golden/README.md: 1e-6 for the age; the last bin ends there, so what is summed up to it is as good */
    CU_ASSERT(worst[0] < 1e-6);
    for (int k = 1; k < 4; k++) CU_ASSERT(worst[k] < 1e-6);
    if (worst[0] > 1e-6 || worst[1] > 1e-6 || worst[2] > 1e-6 || worst[3] > 1e-6)
        printf("age %.2g, SFR %.2g, Z %.2g, mean age %.2g\n", worst[0], worst[1], worst[2], worst[3]);
    h5_close(&g);
}

static void what_is_not_known_is_nan(void)
{
    double theta[PROVABGS_PARAMETERS] = {10, 1, 0, 0, 0, 0, 5, 1e-2, 1e-2, 0, 0, 0};
    CU_ASSERT(isfinite(provabgs_properties(theta, 0.1).tage_mw));
    CU_ASSERT(isnan(provabgs_properties(theta, NAN).tage_mw) && isnan(provabgs_properties(theta, -1).avgsfr));
    theta[3] = NAN;
    CU_ASSERT(isnan(provabgs_properties(theta, 0.1).z_mw));
}

TEST_MAIN("provabgs", {"the golden parameters", the_golden_parameters},
          {"what is not known is NaN", what_is_not_known_is_nan})
