/* legacy.c - the Legacy Surveys as a survey: configuration, how files are named, which region a brick is read from,
   the check of the brick table. Tractor catalogues: tractor.c; sweeps: sweeps.c, sweep_rows.c; cutouts: cutout.c.

   Brick names from catalogues are checked against their pattern before they become part of a path, so that no path
   leaves the root. */
#include "data/legacy.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- configuration ---- */

static const char *const region_names[] = {"south", "north", NULL};

static const char *const type_names[] = {"PSF", "REX", "EXP", "DEV", "SER", "COMP", NULL};

/* In the order of the bits. */
const char *const legacy_maskbit_name[] = {"NPRIMARY",  "BRIGHT",    "SATUR_G", "SATUR_R",   "SATUR_Z",  "ALLMASK_G",
                                           "ALLMASK_R", "ALLMASK_Z", "WISEM1",  "WISEM2",    "BAILOUT",  "MEDIUM",
                                           "GALAXY",    "CLUSTER",   "SATUR_I", "ALLMASK_I", "SUB_BLOB", NULL};

/* The defaults follow the published set of 76 million images that AstroDINO learned from (Stein et al. 2021,
   arXiv:2110.00023, github.com/georgestein/ssl-legacysurvey): galaxies of the DR9 sweeps (no PSF) down to z = 20 by
   22.5 - 2.5 log10(FLUX_Z), the dust of our Galaxy not taken off. That set holds objects of both regions twice; here
   they count once. min_exposures 1 is ours: a band without exposures has no image. The set of the Multimodal Universe
   (DR10 south, its build_parent_sample.py) is max_mag_z 21, dereddened true, min_exposures 1 (there in i too) and
   maskbits NPRIMARY, BRIGHT, MEDIUM and all of SATUR_ and ALLMASK_. */
static const ConfigField object_fields[] = {
    FIELD_TEXTS(LegacyObjects, drop_types, "[PSF]", type_names, RESULT, "kinds of objects (TYPE) that make no rows"),
    FIELD_REAL(LegacyObjects, max_mag_z, "20", 0, 40, RESULT,
               "objects fainter than this z magnitude (AB) make no rows; 0 = all do"),
    FIELD_BOOL(LegacyObjects, dereddened, "false", RESULT, "take the dust of our Galaxy off that magnitude"),
    FIELD_INT(LegacyObjects, min_exposures, "1", 0, 10000, RESULT, "fewest exposures (NOBS) in each of g, r and z"),
    FIELD_TEXTS(LegacyObjects, maskbits, "[]", legacy_maskbit_name, RESULT,
                "objects with one of these bits of MASKBITS make no rows"),
    FIELD_BOOL(LegacyObjects, photo_z, "true", RESULT,
               "read photometric redshifts from the -pz files beside the sweeps, where there are any"),
    FIELD_END};

static const ConfigField legacy_fields[] = {
    FIELD_TEXT(LegacyConfig, root, "legacysurvey", EFFORT, "folder that holds dr9/"),
    FIELD_TEXT(LegacyConfig, release, "dr9", RESULT, "data release: the folder under the root: dr8, dr9 or dr10"),
    FIELD_TEXTS(
        LegacyConfig, regions, "[south, north]", region_names, RESULT,
        "regions of the release; where PHOTSYS does not say, the first that has the brick; dr10 has south alone"),
    FIELD_TEXTS(
        LegacyConfig, maskbits, "[]", legacy_maskbit_name, RESULT,
        "pixels with one of these bits in the maskbits file of their brick count as without data; [] = not read"),
    FIELD_TEXTS(LegacyConfig, sweeps, "[]", NULL, RESULT,
                "sweep files and folders of them, under the root; [] = the newest version of each region"),
    FIELD_GROUP(LegacyConfig, objects, object_fields, "which objects of the sweeps make rows (release.rows: [images])"),
    FIELD_END};

static Status legacy_check(const void *config)
{
    const LegacyConfig *c = config;
    if (c->release[0] == '\0' || c->release[0] == '.' || strchr(c->release, '/'))
        return FAIL(E_CONFIG, "release.images.release: '%s' is not the name of a release such as dr9", c->release);
    if (c->regions.n < 1) return FAIL(E_CONFIG, "release.images.regions: empty; write [south, north] or one of them");
    for (int64_t i = 0; i < c->regions.n; i++)
        for (int64_t k = 0; k < i; k++)
            if (strcmp(c->regions.item[i], c->regions.item[k]) == 0)
                return FAIL(E_CONFIG, "release.images.regions: '%s' stands there twice", c->regions.item[i]);
    if (!legacy_has_region(c, "south") && !legacy_has_region(c, "north"))
        return FAIL(E_CONFIG, "release.images.regions: %s has south alone", c->release);
    return OK;
}

static const char *legacy_root(const void *config) { return ((const LegacyConfig *)config)->root; }
static const char *legacy_release(const void *config) { return ((const LegacyConfig *)config)->release; }

int32_t legacy_maskbits(const ConfigTexts *names)
{
    int32_t bits = 0;
    for (int64_t i = 0; i < names->n; i++)
        for (int b = 0; legacy_maskbit_name[b]; b++)
            if (strcmp(names->item[i], legacy_maskbit_name[b]) == 0) bits |= 1 << b;
    return bits;
}

/* ---- regions ---- */

static bool is_dr10(const char *release) { return strncmp(release, "dr10", 4) == 0; }

bool legacy_has_region(const LegacyConfig *c, const char *region)
{
    if (strcmp(region, "north") == 0 && is_dr10(c->release)) return false;
    for (int64_t i = 0; i < c->regions.n; i++)
        if (strcmp(c->regions.item[i], region) == 0) return true;
    return false;
}

bool legacy_prefers_north(double ra, double dec)
{
    /* North Galactic pole, J2000; north of the plane: within 90 degrees of it. */
    const double degree = M_PI / 180, pole_ra = 192.859508 * degree, pole_dec = 27.128336 * degree;
    double sin_b = sin(dec * degree) * sin(pole_dec) + cos(dec * degree) * cos(pole_dec) * cos(ra * degree - pole_ra);
    return dec >= 32.375 && sin_b > 0;
}

/* ---- names of files ---- */

/* "0001p000": four digits, p or m, three digits. */
static bool is_brick_name(const char *name)
{
    for (int i = 0; i < 8; i++) {
        bool ok = i == 4 ? name[i] == 'p' || name[i] == 'm' : isdigit((unsigned char)name[i]);
        if (!ok) return false; /* also at the end of a short name */
    }
    return name[8] == '\0';
}

static Status check_length(int length, size_t size, const char *path)
{
    return length < 0 || (size_t)length >= size
               ? FAIL(E_CONFIG, "the path %.200s... is longer than %zu characters", path, size)
               : OK;
}

Status legacy_image_path(char *path, size_t size, const LegacyConfig *c, const char *region, const char *brickname,
                         LegacyProduct product, int band)
{
    static const char *const products[N_PRODUCTS] = {"image", "invvar", "maskbits"};
    char ending[3] = {'-', product == PRODUCT_MASKBITS ? '\0' : band_name[band], '\0'};
    int length = snprintf(path, size, "%s/%s/coadd/%.3s/%s/legacysurvey-%s-%s%s.fits.fz", c->release, region, brickname,
                          brickname, brickname, products[product], ending[1] ? ending : "");
    return check_length(length, size, path);
}

static bool has_image(const LegacyConfig *c, const char *region, const Brick *brick)
{
    char name[LEGACY_PATH], path[LEGACY_PATH];
    for (int band = 0; band < N_BANDS; band++) {
        bool named = legacy_image_path(name, sizeof name, c, region, brick->name, PRODUCT_IMAGE, band) == OK;
        if (named && survey_file(path, sizeof path, c->root, name)) return true;
    }
    return false;
}

/* The region that PHOTSYS names, NULL where it names none of ours. */
static const char *named_region(const LegacyConfig *c, char photsys)
{
    const char *wanted = photsys == 'N' ? "north" : photsys == 'S' ? "south" : "";
    return legacy_has_region(c, wanted) ? wanted : NULL;
}

/* legacy_check sees to it that there is one. */
static const char *first_region(const LegacyConfig *c)
{
    return legacy_has_region(c, c->regions.item[0]) ? c->regions.item[0] : "south";
}

const char *legacy_region(const LegacyConfig *c, char photsys, const Brick *brick)
{
    const char *named = named_region(c, photsys);
    if (named) return named;
    for (int64_t i = 0; i < c->regions.n && c->regions.n > 1; i++)
        if (legacy_has_region(c, c->regions.item[i]) && has_image(c, c->regions.item[i], brick))
            return c->regions.item[i];
    return first_region(c);
}

static Status tractor_path(char *path, size_t size, const LegacyConfig *c, const char *region, const char *brick)
{
    int length = snprintf(path, size, "%s/%s/tractor/%.3s/tractor-%s.fits", c->release, region, brick, brick);
    return check_length(length, size, path);
}

static Status legacy_photometry_file(char *path, size_t size, const void *config, const CatalogRow *row)
{
    const LegacyConfig *c = config;
    Brick b;
    const char *brick = row->brickname;
    if (!is_brick_name(brick)) {
        if (!brick_at(&b, row->ra, row->dec))
            return FAIL(E_INPUT, "TARGETID %lld: no brick at RA %g, DEC %g", (long long)row->targetid, row->ra,
                        row->dec);
        brick = b.name;
    }
    const char *named = named_region(c, row->photsys);
    for (int64_t i = 0; i < c->regions.n; i++) {
        const char *region = named ? named : c->regions.item[i];
        char full[2 * LEGACY_PATH];
        if (!legacy_has_region(c, region)) continue;
        TRY(tractor_path(path, size, c, region, brick));
        if (named || survey_file(full, sizeof full, c->root, path)) return OK;
    }
    return tractor_path(path, size, c, first_region(c), brick);
}

static Status add_image_file(FileList *out, const LegacyConfig *c, const char *region, const char *brick,
                             LegacyProduct product, int band, Arena *a)
{
    char path[LEGACY_PATH];
    TRY(legacy_image_path(path, sizeof path, c, region, brick, product, band));
    return arena_text(&out->path[out->n++], a, path);
}

static Status legacy_image_files(FileList *out, const void *config, const CatalogRow *row, Arena *a)
{
    const LegacyConfig *c = config;
    Brick b;
    *out = (FileList){0};
    if (!row->has_image || !brick_at(&b, row->ra, row->dec)) return OK;
    const char *region = legacy_region(c, row->photsys, &b);
    TRY(arena_new(&out->path, a, 2 * N_BANDS + 1));
    for (int band = 0; band < N_BANDS; band++) {
        TRY(add_image_file(out, c, region, b.name, PRODUCT_IMAGE, band, a));
        TRY(add_image_file(out, c, region, b.name, PRODUCT_INVVAR, band, a));
    }
    return c->maskbits.n > 0 ? add_image_file(out, c, region, b.name, PRODUCT_MASKBITS, 0, a) : OK;
}

/* ---- bricks ---- */

static Status legacy_locate(CatalogRow *row, const void *config)
{
    (void)config;
    Brick b;
    if (!brick_at(&b, row->ra, row->dec)) return OK; /* stays nameless; its cutout is flagged BAD_POSITION */
    memcpy(row->brickname, b.name, sizeof row->brickname);
    if (row->brickid == 0) row->brickid = b.id;
    return OK;
}

enum { TABLE_CHUNK = 4096 };

/* Rows [first, first + n) of an open table of bricks. Tables name their columns in capitals or not; BRICKID may be
   absent. */
static Status check_rows(FitsFile *f, const char *path, bool has_id, int64_t first, int64_t n, Arena *a)
{
    double *ra, *dec;
    int32_t *id;
    char *name;
    TRY(arena_new(&ra, a, n));
    TRY(arena_new(&dec, a, n));
    TRY(arena_new(&id, a, n));
    TRY(arena_take((void **)&name, a, n, BRICK_NAME));
    TRY(fitsfile_read_column(ra, f, "RA", FITS_F64, first, n));
    TRY(fitsfile_read_column(dec, f, "DEC", FITS_F64, first, n));
    TRY(fitsfile_read_text(name, BRICK_NAME, f, "BRICKNAME", first, n));
    if (has_id) TRY(fitsfile_read_column(id, f, "BRICKID", FITS_I32, first, n));
    for (int64_t i = 0; i < n; i++) {
        Brick b;
        const char *listed = name + i * BRICK_NAME;
        bool same = brick_at(&b, ra[i], dec[i]) && fabs(b.ra - ra[i]) < 1e-6 && fabs(b.dec - dec[i]) < 1e-6;
        same = same && strcmp(b.name, listed) == 0 && (!has_id || b.id == id[i]);
        if (!same)
            return FAIL(E_INPUT,
                        "%s: row %lld: brick %s at (%.6f, %.6f) is not a brick of the 0.25 degree grid; is this the "
                        "brick table of the release?",
                        path, (long long)(first + i), listed, ra[i], dec[i]);
    }
    return OK;
}

Status legacy_check_bricks(const char *path, Arena *scratch)
{
    Status st = OK;
    FitsFile f = {0};
    int64_t n;
    Mark mark = arena_mark(scratch);
    TRY_DONE(fitsfile_open(&f, path));
    TRY_DONE(fitsfile_goto_number(&f, 1));
    TRY_DONE(fitsfile_rows(&n, &f));
    bool has_id = fitsfile_has_column(&f, "BRICKID");
    for (int64_t first = 0; first < n; first += TABLE_CHUNK) {
        Mark chunk = arena_mark(scratch);
        TRY_DONE(check_rows(&f, path, has_id, first, n - first < TABLE_CHUNK ? n - first : TABLE_CHUNK, scratch));
        arena_reset(scratch, chunk);
    }
done:
    fitsfile_close(&f);
    arena_reset(scratch, mark);
    return st;
}

/* ---- open state ---- */

/* Candidates for the table of bricks, zipped or not: of the whole release, of a region. The first that exists is compared with the
   algorithm. */
static Status find_table(char *path, size_t size, bool *found, const LegacyConfig *c)
{
    char name[LEGACY_PATH];
    int length = snprintf(name, sizeof name, "%s/survey-bricks.fits", c->release);
    TRY(check_length(length, sizeof name, name));
    *found = survey_file(path, size, c->root, name);
    for (int64_t i = 0; i < c->regions.n && !*found; i++) {
        const char *region = c->regions.item[i];
        if (!legacy_has_region(c, region)) continue;
        length = snprintf(name, sizeof name, "%s/%s/survey-bricks-%s-%s.fits", c->release, region, c->release, region);
        TRY(check_length(length, sizeof name, name));
        *found = survey_file(path, size, c->root, name);
    }
    return OK;
}

static Status legacy_open(ImageSource *s, Arena *a)
{
    char path[LEGACY_PATH];
    bool found;
    TRY(find_table(path, sizeof path, &found, s->config));
    return found ? legacy_check_bricks(path, a) : OK;
}

const ImageSurvey legacy_survey = {
    .plugin = {"legacy", "Legacy Surveys DR8, DR9, DR10: bricks, Tractor catalogues, sweeps", legacy_fields,
               sizeof(LegacyConfig), legacy_check},
    .beside = true,
    .root = legacy_root,
    .image_release = legacy_release,
    .list_objects = legacy_list_objects,
    .list_beside = legacy_list_beside,
    .count_objects = legacy_count_objects,
    .read_objects = legacy_read_objects,
    .locate = legacy_locate,
    .photometry_file = legacy_photometry_file,
    .read_photometry = legacy_read_photometry,
    .open = legacy_open,
    .image_files = legacy_image_files,
    .cutouts = legacy_cutouts,
};
