/* The table of flags: complete, without clashes, and what counts as fatal. */
#include "test_main.h"

#include <string.h>

#include "data/flags.h"

static void bits_and_names_are_unique(void)
{
    for (int m = 0; m < N_MODALITIES; m++) {
        int32_t seen = 0;
        const FlagRow *table = flags_table((Modality)m);
        for (const FlagRow *a = table; a->bit != 0; a++) {
            CU_ASSERT((a->bit & (a->bit - 1)) == 0 && a->bit < 1 << FLAG_BITS); /* one bit that flags_count can count */
            CU_ASSERT_FALSE(seen & a->bit);
            seen |= a->bit;
            CU_ASSERT(strlen(a->name) > 0 && strlen(a->sentence) > 0);
            for (const FlagRow *b = table; b != a; b++) CU_ASSERT_STRING_NOT_EQUAL(a->name, b->name);
        }
        CU_ASSERT_EQUAL(seen & (seen + 1), 0); /* no hole: a bit of the enum without its row would be one */
    }
    CU_ASSERT_PTR_NULL(modality_name[N_MODALITIES]);
}

static void last_bits_have_rows(void)
{
    int32_t all[N_MODALITIES] = {0};
    for (int m = 0; m < N_MODALITIES; m++)
        for (const FlagRow *a = flags_table((Modality)m); a->bit != 0; a++) all[m] |= a->bit;
    CU_ASSERT_EQUAL(all[MODALITY_SPECTRUM], 2 * SPECTRUM_FILE_LOST - 1);
    CU_ASSERT_EQUAL(all[MODALITY_IMAGE], 2 * IMAGE_FILE_LOST - 1);
}

static void fatal_flags_forbid_an_embedding(void)
{
    CU_ASSERT_FALSE(flags_fatal(MODALITY_SPECTRUM, 0, false));
    CU_ASSERT_FALSE(flags_fatal(MODALITY_SPECTRUM,
                                SPECTRUM_MISSING_ARM | SPECTRUM_BAD_PIXELS | SPECTRUM_NONFINITE | SPECTRUM_NO_EBV,
                                false));
    CU_ASSERT_TRUE(flags_fatal(MODALITY_SPECTRUM, SPECTRUM_BAD_PIXELS | SPECTRUM_NO_ROW, false));
    CU_ASSERT_FALSE(flags_fatal(MODALITY_IMAGE,
                                IMAGE_MOSAIC | IMAGE_PADDED | IMAGE_NONFINITE | IMAGE_BAD_PIXELS | IMAGE_RESCALED,
                                false));
    CU_ASSERT_TRUE(flags_fatal(MODALITY_IMAGE, IMAGE_BAD_POSITION, false));
}

static void zero_bands_forgives_missing_bands_only(void)
{
    const int32_t band = IMAGE_MISSING_BAND | IMAGE_NO_COVERAGE;
    CU_ASSERT_TRUE(flags_fatal(MODALITY_IMAGE, band, false));
    CU_ASSERT_FALSE(flags_fatal(MODALITY_IMAGE, band, true));
    CU_ASSERT_TRUE(flags_fatal(MODALITY_IMAGE, band | IMAGE_UNREADABLE, true));
    CU_ASSERT_TRUE(flags_fatal(MODALITY_SPECTRUM, SPECTRUM_NO_ROW, true)); /* the same bit value as a band's */
}

static void counts_add_up_by_bit(void)
{
    int64_t counts[FLAG_BITS + 1] = {0};
    flags_count(counts, 0);
    flags_count(counts, SPECTRUM_NO_FILE);
    flags_count(counts, SPECTRUM_NO_FILE | SPECTRUM_BAD_EMBEDDING);
    CU_ASSERT_EQUAL(counts[0], 2);
    CU_ASSERT_EQUAL(counts[10], 1);
    CU_ASSERT_EQUAL(counts[1], 0);
    CU_ASSERT_EQUAL(counts[FLAG_BITS], 1);
}

TEST_MAIN("flags", {"bits and names are unique, bits have no holes", bits_and_names_are_unique},
          {"the last bit of each modality has its row", last_bits_have_rows},
          {"fatal flags forbid an embedding, others do not", fatal_flags_forbid_an_embedding},
          {"images.missing_band zero forgives missing bands only", zero_bands_forgives_missing_bands_only},
          {"counts add up by bit, rows without flags apart", counts_add_up_by_bit})
