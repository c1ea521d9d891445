/* flags.c - the list of flags of each modality: bit, name, sentence. Everything that prints, counts or documents
   flags walks these tables. */
#include "data/flags.h"

#include <stddef.h>

#include "core/fail.h"
#include "core/log.h"

const char *const modality_name[N_MODALITIES + 1] = {"image", "spectrum", NULL};
const int32_t flag_file_lost[N_MODALITIES] = {IMAGE_FILE_LOST, SPECTRUM_FILE_LOST};

static const FlagRow spectrum_flags[] = {
    {SPECTRUM_NO_FILE, true, "NO_FILE", "the file of this row is missing"},
    {SPECTRUM_UNREADABLE, true, "UNREADABLE", "the file or an HDU of it cannot be read"},
    {SPECTRUM_NO_ROW, true, "NO_ROW", "the file does not hold this TARGETID"},
    {SPECTRUM_BAD_GRID, true, "BAD_GRID", "wavelengths are not the DESI grid"},
    {SPECTRUM_NO_DATA, true, "NO_DATA", "ivar is 0 everywhere"},
    {SPECTRUM_MASKED, true, "MASKED", "more than spectra.max_masked_fraction of the pixels have no information"},
    {SPECTRUM_MISSING_ARM, false, "MISSING_ARM", "an arm (B, R or Z) is absent or all bad"},
    {SPECTRUM_BAD_PIXELS, false, "BAD_PIXELS", "some pixels have no information"},
    {SPECTRUM_NONFINITE, false, "NONFINITE", "NaN or Inf in the file were set to 0"},
    {SPECTRUM_NOT_ASKED, true, "NOT_ASKED", "this row has no spectrum"},
    {SPECTRUM_BAD_EMBEDDING, true, "BAD_EMBEDDING", "the encoder gave NaN or Inf"},
    {SPECTRUM_NO_EBV, false, "NO_EBV", "dust of our Galaxy was left in: E(B-V) is not known"},
    {SPECTRUM_FILE_LOST, false, "FILE_LOST", "its file was gone or of another size than the catalogue saw"},
    {0, false, NULL, NULL},
};

static const FlagRow image_flags[] = {
    {IMAGE_NO_BRICK, true, "NO_BRICK", "the brick of this position is absent"},
    {IMAGE_UNREADABLE, true, "UNREADABLE", "an image of this row cannot be read"},
    {IMAGE_MISSING_BAND, true, "MISSING_BAND", "a band of the image is absent"},
    {IMAGE_NO_COVERAGE, true, "NO_COVERAGE", "a band has no data all over the window"},
    {IMAGE_BAD_SCALE, true, "BAD_SCALE", "the pixel scale is not 0.262 arcsec within 1 %, or not known"},
    {IMAGE_MASKED, true, "MASKED", "more than images.max_masked_fraction of the pixels have no data"},
    {IMAGE_MOSAIC, false, "MOSAIC", "pixels beyond the own brick came from a neighbour"},
    {IMAGE_PADDED, false, "PADDED", "pixels that no image shows were set to 0"},
    {IMAGE_NONFINITE, false, "NONFINITE", "NaN or Inf in the file were set to 0"},
    {IMAGE_BAD_PIXELS, false, "BAD_PIXELS", "some pixels have invvar 0"},
    {IMAGE_NOT_ASKED, true, "NOT_ASKED", "this row has no image"},
    {IMAGE_BAD_POSITION, true, "BAD_POSITION", "RA or DEC is not a position on the sky"},
    {IMAGE_BAD_EMBEDDING, true, "BAD_EMBEDDING", "the encoder gave NaN or Inf"},
    {IMAGE_RESCALED, false, "RESCALED", "another pixel scale was converted to 0.262 arcsec"},
    {IMAGE_NO_MASKBITS, false, "NO_MASKBITS", "maskbits were asked for, and those of some pixels are not there"},
    {IMAGE_FILE_LOST, false, "FILE_LOST", "a file of it was gone or of another size than the catalogue saw"},
    {0, false, NULL, NULL},
};

const FlagRow *flags_table(Modality m)
{
    MUST(m == MODALITY_IMAGE || m == MODALITY_SPECTRUM);
    return m == MODALITY_IMAGE ? image_flags : spectrum_flags;
}

bool flags_fatal(Modality m, int32_t flag, bool zero_bands)
{
    if (m == MODALITY_IMAGE && zero_bands) flag &= ~(IMAGE_MISSING_BAND | IMAGE_NO_COVERAGE);
    for (const FlagRow *row = flags_table(m); row->bit != 0; row++)
        if (row->fatal && (flag & row->bit)) return true;
    return false;
}

void flags_count(int64_t counts[FLAG_BITS + 1], int32_t flag)
{
    for (int b = 0; b < FLAG_BITS; b++) counts[b] += flag >> b & 1;
    counts[FLAG_BITS] += flag == 0;
}

void flags_log(const char *stage, Modality m, const int64_t counts[FLAG_BITS + 1], int64_t n_rows, bool zero_bands)
{
    for (const FlagRow *row = flags_table(m); row->bit != 0; row++) {
        int64_t count = counts[__builtin_ctz((unsigned)row->bit)];
        if (count == 0) continue;
        log_info("%s: %s_flag %-13s %lld of %lld rows%s (%s)", stage, modality_name[m], row->name, (long long)count,
                 (long long)n_rows, flags_fatal(m, row->bit, zero_bands) ? ", not embedded" : "", row->sentence);
    }
}
