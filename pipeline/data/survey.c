/* survey.c - which surveys there are, and the configuration section that chooses among them. */
#include "data/survey.h"

const ConfigPlugin *const spectrum_surveys[] = {&desi_survey.plugin, NULL};
const ConfigPlugin *const image_surveys[] = {&legacy_survey.plugin, NULL};

static const ConfigField release_fields[] = {
    FIELD_KIND(ReleaseConfig, spectra, "desi", spectrum_surveys, "the survey that gives spectra and redshifts"),
    FIELD_KIND(ReleaseConfig, images, "legacy", image_surveys, "the survey that gives images and photometry"),
    FIELD_TEXT(ReleaseConfig, labels, "", EFFORT, "table of physical properties (PROVABGS-like HDF5); empty = none"),
    FIELD_END};

const ConfigSection release_section = {"release", "what to read: the data release and where it lies", release_fields,
                                       sizeof(ReleaseConfig), NULL};

const SpectrumSurvey *release_spectra(const ReleaseConfig *r) { return (const SpectrumSurvey *)r->spectra.plugin; }
const ImageSurvey *release_images(const ReleaseConfig *r) { return (const ImageSurvey *)r->images.plugin; }
