/* desi_quality.h - of which class a target is, and whether its redshift is good by the standard cut of the class
   (formats.md B6, after desispec.validredshifts). Local, serial. */
#ifndef DATA_DESI_QUALITY_H
#define DATA_DESI_QUALITY_H

#include "data/catalog.h"
#include "io/fitsfile.h"

/* desi_target, bgs_target and target_class of rows[0 .. n), which are rows [first, first + n) of the current HDU, from
   the targeting columns of the row's own SURVEY: DESI_TARGET of main and special, SVn_DESI_TARGET of svn; where SURVEY
   is not known, from the SVn columns that there are, else DESI_TARGET. Commissioning targets (cmx) are of no class.
   Clears UNKNOWN_TARGET of the rows it could tell of. */
Status desi_fill_targeting(CatalogRow *rows, FitsFile *f, int64_t first, int64_t n, Arena *scratch);

/* Opens a file that goes row by row with the redshift file `path`, whose rows [first, first + n) of `n_file` are `rows`,
   and moves to its table (desi_goto_table). E_INPUT, naming both files, where the TARGETIDs are not the same. */
Status desi_open_beside(FitsFile *f, const char *beside, const char *path, const char *extname, const char *column,
                        const CatalogRow *rows, int64_t first, int64_t n, int64_t n_file, Arena *scratch);

typedef enum { JUDGE_CATALOG, JUDGE_REDROCK } DesiJudge;

/* good_z and unknown_z of rows [first, first + n) of the redshift file `path` of `n_file` rows. What ELG and QSO cuts
   need lies in files beside: NAME-extra.fits of a catalogue, whose GOOD_Z_* columns win where it has them; emline-*,
   qso_mgii-* and qso_qn-* of a redrock file. A class whose inputs are absent is left unknown. TSNR2_LRG is taken from
   -extra too.

   Redrock files: a target of OBJTYPE TGT that QuasarNET is sure of (a C_* above 0.99) and for which redrock ran again
   (IS_QSO_QN_NEW_RR) gets z = Z_NEW, zerr = ZERR_NEW and SPECTYPE QSO, after its first redshift has been judged. The
   Z_BEST of v2 catalogues has done so already. */
Status desi_judge_redshifts(CatalogRow *rows, DesiJudge kind, bool has_deltachi2, const char *path, int64_t first,
                            int64_t n, int64_t n_file, Arena *scratch);

/* PATH without .fits or .fits.gz, then END and .fits: "zpix-main-dark.fits" and "-extra" give
   "zpix-main-dark-extra.fits" or that with .gz; false where there is none. */
bool desi_part_beside(char *out, size_t size, const char *path, const char *end);

#endif
