/* survey.c - which surveys there are, and the configuration section that chooses among them. */
#include "data/survey.h"

#include <string.h>

const ConfigPlugin *const spectrum_surveys[] = {&desi_survey.plugin, &sdss_survey.plugin, &astroclip_spectra.plugin,
                                                &mmu_spectra.plugin, &no_spectra.plugin,  NULL};
const ConfigPlugin *const image_surveys[] = {&legacy_survey.plugin,
                                             &cutouts_survey.plugin,
                                             &astroclip_images.plugin,
                                             &stein_images.plugin,
                                             &mmu_images.plugin,
                                             &no_images.plugin,
                                             NULL};

static const char *const row_sources[] = {"spectra", "images", NULL};

static const ConfigField release_fields[] = {
    FIELD_TEXTS(ReleaseConfig, rows, "[spectra]", row_sources, RESULT,
                "what makes rows: objects with a spectrum, objects of the image survey, or both"),
    FIELD_KIND(ReleaseConfig, spectra, "desi", spectrum_surveys, "the survey that gives spectra and redshifts"),
    FIELD_KIND(ReleaseConfig, images, "legacy", image_surveys, "the survey that gives images and photometry"),
    FIELD_TEXT(ReleaseConfig, labels, "", EFFORT, "table of physical properties (PROVABGS-like HDF5); empty = none"),
    FIELD_END};

static Status release_check(const void *config)
{
    const ReleaseConfig *r = config;
    if (r->rows.n == 0) return FAIL(E_CONFIG, "release.rows: empty; write [spectra], [images] or both");
    if (release_takes(r, "spectra") && !release_spectra(r)->list_redshifts)
        return FAIL(E_CONFIG, "release.rows names spectra, but release.spectra.kind '%s' has none",
                    r->spectra.plugin->name);
    if (release_takes(r, "images") && !release_images(r)->list_objects)
        return FAIL(E_CONFIG, "release.rows names images, but release.images.kind '%s' has no list of objects",
                    r->images.plugin->name);
    return OK;
}

const ConfigSection release_section = {"release", "what to read: the data release and where it lies", release_fields,
                                       sizeof(ReleaseConfig), release_check};

bool release_takes(const ReleaseConfig *r, const char *rows)
{
    for (int64_t i = 0; i < r->rows.n; i++)
        if (strcmp(r->rows.item[i], rows) == 0) return true;
    return false;
}

const SpectrumSurvey *release_spectra(const ReleaseConfig *r) { return (const SpectrumSurvey *)r->spectra.plugin; }
const ImageSurvey *release_images(const ReleaseConfig *r) { return (const ImageSurvey *)r->images.plugin; }
