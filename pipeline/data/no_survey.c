/* no_survey.c - the absence of a modality as a survey: kind `none` of release.spectra or release.images. */
#include "data/flags.h"
#include "data/survey.h"

typedef struct {
    int nothing;
} NoConfig;

static const ConfigField no_fields[] = {FIELD_END};

static const char *no_text(const void *config)
{
    (void)config;
    return "";
}

/* No row asks for a spectrum or an image here; a row that does (a catalogue of another run file) has no file. */
static Status no_file(char *path, size_t size, const void *config, const CatalogRow *row, const FileList *files)
{
    (void)config, (void)row, (void)files;
    if (size > 0) path[0] = '\0';
    return OK;
}

static Status no_spectrum(SpectrumBatch *out, int64_t at, const void *config, const SpectraConfig *options,
                          const char *path, const CatalogRow *rows, int64_t n, Arena *scratch)
{
    (void)config, (void)options, (void)path, (void)rows, (void)scratch;
    for (int64_t i = at; i < at + n; i++) out->flag[i] = SPECTRUM_NOT_ASKED;
    return OK;
}

static Status no_cutouts(ImageBatch *out, int64_t at, ImageSource *s, const ImagesConfig *options,
                         const CatalogRow *rows, int64_t n, Arena *scratch)
{
    (void)s, (void)options, (void)rows, (void)scratch;
    for (int64_t i = at; i < at + n; i++) out->flag[i] = IMAGE_NOT_ASKED;
    return OK;
}

const SpectrumSurvey no_spectra = {
    .plugin = {"none", "no spectra: a catalogue of images alone", no_fields, sizeof(NoConfig), NULL},
    .beside = true,
    .root = no_text,
    .specprod = no_text,
    .spectrum_file = no_file,
    .read_spectra = no_spectrum,
};

const ImageSurvey no_images = {
    .plugin = {"none", "no images: a catalogue of spectra alone", no_fields, sizeof(NoConfig), NULL},
    .beside = true,
    .root = no_text,
    .image_release = no_text,
    .cutouts = no_cutouts,
};
