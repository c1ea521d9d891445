/* desi.c - DESI as a survey: its configuration, where its files lie and how they are named.

   Every name that comes from a folder or a table is checked against a pattern before it becomes part of a path, so
   that no path leaves the root. */
#include "data/desi.h"

#include <ctype.h>
#include <string.h>

#include "data/healpix.h"

/* ---- configuration ---- */

static const char *const layouts[] = {"healpix", "uniqpix", "tiles", NULL};
static const char *const spectrum_kinds[] = {"coadd", "exposures", NULL};
static const char *const zcatalog_versions[] = {"auto", "v0", "v1", "v2", NULL};
static const char *const redshift_sources[] = {"zcatalog", "redrock", "coadd", NULL};

static const ConfigField desi_fields[] = {
    FIELD_TEXT(DesiConfig, root, "desi", EFFORT, "folder that holds spectro/redux/SPECPROD"),
    FIELD_TEXT(DesiConfig, specprod, "iron", RESULT, "production: fuji is EDR, iron is DR1"),
    FIELD_CHOICE(DesiConfig, layout, "healpix", layouts, RESULT,
                 "folders of spectra: healpix up to DR2, uniqpix from DR3 on, or tiles/cumulative"),
    FIELD_CHOICE(DesiConfig, spectra, "coadd", spectrum_kinds, RESULT,
                 "coadd-* files, or the single exposures of spectra-* files, added up here"),
    FIELD_CHOICE(DesiConfig, redshifts, "zcatalog", redshift_sources, RESULT,
                 "where the rows come from: redshift catalogues, redrock files, or the spectrum files alone"),
    FIELD_TEXTS(DesiConfig, programs, "[]", NULL, RESULT,
                "SURVEY/PROGRAM to take, such as main/bright; empty = all found"),
    FIELD_TEXTS(DesiConfig, zcatalog, "[]", NULL, RESULT,
                "redshift catalogues, relative to the root; empty = those of zcatalog_version, by program or zall"),
    FIELD_CHOICE(DesiConfig, zcatalog_version, "auto", zcatalog_versions, RESULT,
                 "folder of redshift catalogues; auto = the newest that holds the programs asked for"),
    FIELD_TEXTS(DesiConfig, files, "[]", NULL, RESULT,
                "spectrum files of redshifts: coadd, relative to the root; empty = all of the layout, or of the root"),
    FIELD_END};

bool desi_is_word(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i])) return false;
    return n > 0 && n < DESI_WORD;
}

static Status desi_check(const void *config)
{
    const DesiConfig *c = config;
    if (c->specprod[0] == '\0' || c->specprod[0] == '.' || strchr(c->specprod, '/'))
        return FAIL(E_CONFIG, "release.spectra.specprod: '%s' is not the name of a production such as iron",
                    c->specprod);
    if (c->files.n > 0 && c->redshifts != REDSHIFTS_COADD)
        return FAIL(E_CONFIG, "release.spectra.files is for redshifts: coadd, where the spectrum files give the rows");
    for (int64_t i = 0; i < c->programs.n; i++) {
        char survey[DESI_WORD];
        const char *item = c->programs.item[i], *slash = strchr(item, '/');
        size_t length = slash ? (size_t)(slash - item) : 0;
        bool ok = slash && length < sizeof survey;
        if (ok) snprintf(survey, sizeof survey, "%.*s", (int)length, item);
        if (!ok || !desi_is_word(survey) || !desi_is_word(slash + 1))
            return FAIL(E_CONFIG, "release.spectra.programs: '%s' is not SURVEY/PROGRAM such as main/bright", item);
    }
    return OK;
}

bool desi_lists(const ConfigTexts *items, const char *survey, const char *program)
{
    size_t length = strlen(survey);
    for (int64_t i = 0; i < items->n; i++) {
        const char *item = items->item[i];
        if (strncmp(item, survey, length) == 0 && item[length] == '/' && strcmp(item + length + 1, program) == 0)
            return true;
    }
    return false;
}

bool desi_wants(const DesiConfig *c, const char *survey, const char *program)
{
    return c->programs.n == 0 || desi_lists(&c->programs, survey, program);
}

static bool wants_row(const void *config, const CatalogRow *row)
{
    return desi_wants(config, row->survey, row->program);
}

static const char *desi_root(const void *config) { return ((const DesiConfig *)config)->root; }
static const char *desi_specprod(const void *config) { return ((const DesiConfig *)config)->specprod; }

/* ---- paths ---- */

/* Is the text of `length` characters whole? */
static Status fits(const char *path, int length, size_t size)
{
    if (length < 0 || (size_t)length >= size)
        return FAIL(E_CONFIG, "the path %.200s... is longer than %zu characters", path, size);
    return OK;
}

Status desi_pixel_path(char *path, size_t size, const char *specprod, const char *kind, const char *survey,
                       const char *program, int32_t healpix)
{
    return fits(path,
                snprintf(path, size, "spectro/redux/%s/healpix/%s/%s/%d/%d/%s-%s-%s-%d.fits", specprod, survey, program,
                         healpix_group(healpix), healpix, kind, survey, program, healpix),
                size);
}

Status desi_uniqpix_path(char *path, size_t size, const char *specprod, const char *kind, const char *survey,
                         const char *program, int32_t uniqpix)
{
    return fits(path,
                snprintf(path, size, "spectro/redux/%s/spectra/%s/%s/%d/%d/%s-%s-%s-%d.fits", specprod, survey, program,
                         healpix_group(uniqpix), uniqpix, kind, survey, program, uniqpix),
                size);
}

Status desi_tile_path(char *path, size_t size, const char *specprod, const char *kind, int32_t tileid, int32_t night,
                      int32_t petal)
{
    return fits(path,
                snprintf(path, size, "spectro/redux/%s/tiles/cumulative/%d/%d/%s-%d-%d-thru%d.fits", specprod, tileid,
                         night, kind, petal, tileid, night),
                size);
}

/* Where the layout keeps the spectrum of a row. */
static Status layout_file(char *path, size_t size, const DesiConfig *c, const CatalogRow *row)
{
    const char *kind = c->spectra == SPECTRA_EXPOSURES ? "spectra" : "coadd";
    if (c->layout == LAYOUT_TILES) {
        if (row->tileid <= 0)
            return FAIL(E_INPUT,
                        "TARGETID %lld: its redshift catalogue names no tile: release.spectra.layout: tiles needs "
                        "ztile-* or zall-tilecumulative-* catalogues, or redshifts: redrock or coadd",
                        (long long)row->targetid);
        return desi_tile_path(path, size, c->specprod, kind, row->tileid, row->night, row->petal);
    }
    if (!desi_is_word(row->survey) || !desi_is_word(row->program))
        return FAIL(E_INPUT, "TARGETID %lld: SURVEY '%.7s' and PROGRAM '%.7s' do not name a DESI file",
                    (long long)row->targetid, row->survey, row->program);
    if (c->layout == LAYOUT_HEALPIX)
        return desi_pixel_path(path, size, c->specprod, kind, row->survey, row->program, row->healpix);
    if (row->uniqpix <= 0)
        return FAIL(E_INPUT,
                    "TARGETID %lld: its redshift catalogue gives no UNIQPIX: is release.spectra.layout uniqpix right?",
                    (long long)row->targetid);
    return desi_uniqpix_path(path, size, c->specprod, kind, row->survey, row->program, row->uniqpix);
}

static Status desi_spectrum_file(char *path, size_t size, const void *config, const CatalogRow *row,
                                 const FileList *files)
{
    const DesiConfig *c = config;
    if (c->redshifts != REDSHIFTS_COADD) return layout_file(path, size, c, row);
    if (!files || row->source_file < 0 || row->source_file >= files->n)
        return FAIL(E_INPUT, "TARGETID %lld: its FILE %d is not in the catalogue's list of files",
                    (long long)row->targetid, row->source_file);
    return fits(files->path[row->source_file], snprintf(path, size, "%s", files->path[row->source_file]), size);
}

/* ---- names ---- */

/* Takes "-WORD" from the text; NULL where there is none. */
static const char *take_word(char out[DESI_WORD], const char *text)
{
    if (*text != '-') return NULL;
    size_t n = strcspn(text + 1, "-.");
    if (n >= DESI_WORD) return NULL;
    snprintf(out, DESI_WORD, "%.*s", (int)n, text + 1);
    return desi_is_word(out) ? text + 1 + n : NULL;
}

/* Takes MARK and a number from the text; NULL where there is none. */
static const char *take_number(int32_t *out, const char *text, const char *mark)
{
    size_t length = strlen(mark);
    if (strncmp(text, mark, length) != 0) return NULL;
    size_t digits = strcspn(text + length, "-.");
    *out = desi_parse_number(text + length, digits);
    return *out >= 0 ? text + length + digits : NULL;
}

static bool is_fits_end(const char *text) { return strcmp(text, ".fits") == 0 || strcmp(text, ".fits.gz") == 0; }

int32_t desi_parse_number(const char *text, size_t length)
{
    if (length == 0 || length > 9 || (length > 1 && text[0] == '0')) return -1;
    int32_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i])) return -1;
        value = 10 * value + (text[i] - '0');
    }
    return value;
}

int32_t desi_parse_pixel(const char *text, size_t length)
{
    int32_t value = desi_parse_number(text, length);
    return value < HEALPIX_PIXELS ? value : -1;
}

/* KIND-SURVEY-PROGRAM[-NUMBER].fits[.gz]; *number is -1 where there is none. */
static bool parse_program_name(DesiName *out, int32_t *number, const char *name, const char *kind)
{
    size_t length = strlen(kind);
    if (strncmp(name, kind, length) != 0) return false;
    *out = (DesiName){.healpix = -1};
    *number = -1;
    const char *rest = take_word(out->survey, name + length);
    if (rest) rest = take_word(out->program, rest);
    if (rest && *rest == '-') rest = take_number(number, rest, "-");
    return rest && is_fits_end(rest);
}

bool desi_parse_name(DesiName *out, const char *name, const char *kind)
{
    DesiName found;
    int32_t number;
    if (!parse_program_name(&found, &number, name, kind) || number >= HEALPIX_PIXELS) return false;
    found.healpix = number;
    *out = found;
    return true;
}

bool desi_parse_uniqpix_name(DesiName *out, const char *name, const char *kind)
{
    DesiName found;
    int32_t number;
    if (!parse_program_name(&found, &number, name, kind)) return false;
    if (number >= 0 && (found.healpix = uniqpix_healpix(number)) < 0) return false;
    found.uniqpix = number >= 0 ? number : 0;
    *out = found;
    return true;
}

bool desi_parse_tile_name(DesiName *out, const char *name, const char *kind)
{
    size_t length = strlen(kind);
    if (strncmp(name, kind, length) != 0) return false;
    DesiName found = {.healpix = -1};
    const char *rest = take_number(&found.petal, name + length, "-");
    if (rest) rest = take_number(&found.tileid, rest, "-");
    if (rest) rest = take_number(&found.night, rest, "-thru");
    if (!rest || !is_fits_end(rest) || found.tileid == 0) return false;
    *out = found;
    return true;
}

bool desi_parse_layout_name(DesiName *out, int layout, const char *name, const char *kind)
{
    if (layout == LAYOUT_TILES) return desi_parse_tile_name(out, name, kind);
    return layout == LAYOUT_UNIQPIX ? desi_parse_uniqpix_name(out, name, kind) : desi_parse_name(out, name, kind);
}

const SpectrumSurvey desi_survey = {
    .plugin = {"desi", "DESI spectra by HEALPix pixel, UNIQPIX or tile, with zcatalog, redrock or no redshifts",
               desi_fields, sizeof(DesiConfig), desi_check},
    .beside = true,
    .root = desi_root,
    .specprod = desi_specprod,
    .list_redshifts = desi_list_redshifts,
    .list_beside = desi_list_beside,
    .count_redshifts = desi_count_redshifts,
    .read_redshifts = desi_read_redshifts,
    .spectrum_file = desi_spectrum_file,
    .read_spectra = desi_read_spectra,
    .wants = wants_row,
};
