/* sdss.h - SDSS, BOSS and eBOSS spectra: one file per spectrum, spec-PLATE-MJD-FIBER.fits, with its redshift in HDU 2.

   Wavelengths are vacuum and heliocentric, where DESI's are vacuum and barycentric: the sun moves at most 0.016 km/s about
   the barycentre, 1e-3 of a pixel; the unit of flux is DESI's. Spectra go to the DESI grid by overlap of pixels
   (resample.h); what SDSS does not reach (legacy: 3800 to 9200 Angstrom of 3600 to 9824) has ivar 0 there and is flagged
   as any gap is. SDSS is coarser than DESI (R about 2000): lines come out wider than the weights saw. Local, serial. */
#ifndef DATA_SDSS_H
#define DATA_SDSS_H

#include "data/survey.h"
#include "io/fitsfile.h"

typedef enum { SDSS_LITE, SDSS_FULL, SDSS_SPECTRA, SDSS_PLATE, SDSS_FLAT } SdssLayout;

typedef struct {
    const char *root;
    const char *run2d;   /* reduction: of rows that name none, and of provenance; "" = each row's own */
    ConfigTexts files;   /* spec files; none = found */
    const char *catalog; /* specObj or spAll table whose rows are the source rows; "" = the spec files themselves */
    int layout;          /* SdssLayout: where the spectra of `catalog` lie */
    int64_t mask_bits;   /* bits of and_mask that make a pixel bad */
} SdssConfig;

/* SDSS knows an observation by plate, MJD and fibre. The TARGETID made of them: bit 62 set, which no TARGETID of DESI has,
   then 20 bits of plate (from bit 28), 16 of MJD (from bit 12), 12 of fibre. Positive, and in the order of the three. */
typedef struct {
    int64_t plate, mjd, fiber;
} SdssName;
bool sdss_targetid(int64_t *targetid, const SdssName *name); /* false where a number does not fit */
bool sdss_identity(SdssName *out, int64_t targetid);         /* false where it is no TARGETID of this kind */
bool sdss_parse_name(SdssName *out, const char *path);       /* PATH ends with spec-PLATE-MJD-FIBER.fits[.gz] */
bool sdss_is_run2d(const char *text);                        /* "26", "v5_13_2": 1 to 7 letters, digits, _ */

/* The parts of sdss_survey (data/survey.h says what each does). */
Status sdss_list_redshifts(FileList *out, const void *config, Arena *a);
Status sdss_count_redshifts(int64_t *n, const void *config, const char *path, Arena *scratch);
Status sdss_read_redshifts(CatalogRow *rows, const void *config, const char *path, int64_t first, int64_t n,
                           Arena *scratch);
Status sdss_read_spectra(SpectrumBatch *out, int64_t at, const void *config, const SpectraConfig *options,
                         const char *path, const CatalogRow *rows, int64_t n, Arena *scratch);

#endif
