/* cuts.h - which source rows become catalogue rows: the section "catalog" and its cuts, one reason per rejected row;
   the split. */
#ifndef DATA_CUTS_H
#define DATA_CUTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/config.h"
#include "data/catalog.h"

typedef struct {
    ConfigTexts objtype;   /* kept OBJTYPEs; empty = all. Rows of catalogues without the column pass. */
    ConfigTexts survey;    /* kept SURVEYs; empty = all  */
    ConfigTexts program;   /* kept PROGRAMs; empty = all */
    bool good_fiberstatus; /* COADD_FIBERSTATUS & ~fiberstatus_allowed == 0 */
    int64_t fiberstatus_allowed;
    bool good_zwarn;           /* ZWARN == 0 */
    ConfigTexts spectype;      /* kept SPECTYPEs; empty = all */
    double min_deltachi2;      /* 0 = off */
    double z_min, z_max;       /* both 0 = off */
    bool primary_only;         /* ZCAT_PRIMARY; unknown ones are decided by join_unique */
    ConfigTexts good_redshift; /* target classes: a row stays when it is a target of one of them and good_z says so */
    double val_fraction, test_fraction;
    double position_match_arcsec;
} CatalogConfig;
extern const ConfigSection catalog_section; /* "catalog" */

/* Local. True when the row stays; else *reason is why not (the first cut that it fails, in the order of reject_table).
   Which of several rows of one key is best shows later (REJECT_DUPLICATE). */
bool cuts_pass(Reject *reason, const CatalogRow *row, const CatalogConfig *config);

/* Local. For a row that cuts_pass rejects with REJECT_POOR_REDSHIFT: E_INPUT when it was rejected only because its file
   (`path`, for the message) lacks what the cut of its class needs. */
Status cuts_check_redshift(const CatalogRow *row, const CatalogConfig *config, const char *path);

/* Local. Train, val or test: a hash of TARGETID and seed, so that all rows of one target are on the same side in every
   release. */
Split cuts_split(int64_t targetid, int64_t seed, const CatalogConfig *config);

/* Local. The better of two rows of one target comes first: primary, then ZWARN == 0, then larger TSNR2_LRG, then larger
   DELTACHI2, then order in the source. */
int cuts_compare_quality(const CatalogRow *a, const CatalogRow *b);

/* Rejected rows as they come up: grows in its arena. */
typedef struct {
    Arena *arena;
    RejectedRow *row;
    int64_t n, capacity;
} RejectList;
Status reject_add(RejectList *list, const CatalogRow *row, Reject reason); /* Local */

#endif
