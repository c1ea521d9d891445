/* HEALPix pixels against positions whose pixels are known (formats.md B14). */
#include "test_main.h"

#include <math.h>

#include "data/healpix.h"

static void known_positions_fall_into_known_pixels(void)
{
    static const struct {
        double ra, dec;
        int32_t pixel, group;
    } known[] = {{0.1, 0.0, 18090, 180},    {180.0, 45.0, 10938, 109}, {112.6, 22.25, 6156, 61},
                 {233.42, 33.11, 9760, 97}, {150.1, 2.2, 27258, 272},  {359.99, -33.7, 16435, 164},
                 {266.0, 65.5, 11604, 116}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        CU_ASSERT_EQUAL(healpix_pixel(known[i].ra, known[i].dec), known[i].pixel);
        CU_ASSERT_EQUAL(healpix_group(known[i].pixel), known[i].group);
    }
}

static void whole_turns_change_nothing(void)
{
    CU_ASSERT_EQUAL(healpix_pixel(-0.01, -33.7), healpix_pixel(359.99, -33.7));
    CU_ASSERT_EQUAL(healpix_pixel(510.1, 2.2), 27258);
    CU_ASSERT_EQUAL(healpix_pixel(360.0, 10.0), healpix_pixel(0.0, 10.0));
}

static void poles_are_pixels_and_nonsense_is_not(void)
{
    CU_ASSERT(healpix_pixel(12.0, 90.0) >= 0);
    CU_ASSERT(healpix_pixel(12.0, -90.0) >= 0);
    CU_ASSERT_EQUAL(healpix_pixel(NAN, 10.0), -1);
    CU_ASSERT_EQUAL(healpix_pixel(10.0, NAN), -1);
    CU_ASSERT_EQUAL(healpix_pixel(INFINITY, 10.0), -1);
    CU_ASSERT_EQUAL(healpix_pixel(10.0, 90.001), -1);
}

TEST_MAIN("healpix", {"known positions fall into known pixels", known_positions_fall_into_known_pixels},
          {"whole turns of RA change nothing", whole_turns_change_nothing},
          {"poles are pixels, nonsense is -1", poles_are_pixels_and_nonsense_is_not})
