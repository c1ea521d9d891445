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

static void uniqpix_names_pixels_of_any_size(void)
{
    int64_t nside, pixel;
    CU_ASSERT_TRUE(uniqpix_decode(&nside, &pixel, 43642)); /* formats.md B14 */
    CU_ASSERT(nside == 64 && pixel == 27258);
    CU_ASSERT_EQUAL(uniqpix_encode(64, 27258), 43642);
    for (int order = 0; order <= 29; order++) {
        const int64_t n = (int64_t)1 << order, last = 12 * n * n - 1;
        for (int64_t k = 0; k < 2; k++) {
            CU_ASSERT_TRUE(uniqpix_decode(&nside, &pixel, uniqpix_encode(n, k * last)));
            CU_ASSERT(nside == n && pixel == k * last);
        }
    }
    for (int64_t u = -5; u < 4; u++) CU_ASSERT_FALSE(uniqpix_decode(&nside, &pixel, u));
    CU_ASSERT_FALSE(uniqpix_decode(&nside, &pixel, INT64_MAX));
}

static void uniqpix_lies_in_a_sky_pixel(void)
{
    CU_ASSERT_EQUAL(uniqpix_healpix(43642), 27258);
    CU_ASSERT_EQUAL(uniqpix_healpix(uniqpix_encode(256, 16 * 27258 + 9)), 27258); /* smaller: inside it */
    CU_ASSERT_EQUAL(uniqpix_healpix(uniqpix_encode(32, 27258 / 4)), 27256);       /* larger: the first inside */
    CU_ASSERT_EQUAL(uniqpix_healpix(uniqpix_encode(64, HEALPIX_PIXELS - 1)), HEALPIX_PIXELS - 1);
    CU_ASSERT_EQUAL(uniqpix_healpix(3), -1);
}

static void pixels_of_any_size_hold_the_position(void)
{
    CU_ASSERT_EQUAL(healpix_uniqpix(64, 150.1, 2.2), 43642); /* formats.md B14 */
    for (int32_t nside = 2; nside <= 8192; nside *= 2) {
        int64_t small = healpix_uniqpix(nside, 233.42, 33.11), large = healpix_uniqpix(nside / 2, 233.42, 33.11);
        CU_ASSERT_EQUAL(small / 4, large); /* the four parts of a pixel follow on it in NUNIQ as in NESTED */
    }
    CU_ASSERT_EQUAL(healpix_uniqpix(64, NAN, 0), -1);
}

TEST_MAIN("healpix", {"known positions fall into known pixels", known_positions_fall_into_known_pixels},
          {"whole turns of RA change nothing", whole_turns_change_nothing},
          {"poles are pixels, nonsense is -1", poles_are_pixels_and_nonsense_is_not},
          {"pixels of any size hold the position", pixels_of_any_size_hold_the_position},
          {"UNIQPIX names pixels of any size", uniqpix_names_pixels_of_any_size},
          {"UNIQPIX lies in a pixel of nside 64", uniqpix_lies_in_a_sky_pixel})
