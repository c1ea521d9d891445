/* desi_quality.c - targeting bits and the standard quality cuts of redshifts.

   1. Which columns hold the targeting bits depends on the SURVEY of the row. 2. What the cuts look at beyond the
   redshift itself is gathered, column by column, from whichever files there are beside the redshift file: a table of
   signs, filled by name. 3. The cuts are judged row by row; what could not be gathered leaves its classes unknown. */
#include "data/desi_quality.h"

#include <math.h>
#include <string.h>

#include "data/desi.h"
#include "data/desi_columns.h"

/* ---- targeting bits ---- */

enum { PHASES = 4 }; /* main, sv1, sv2, sv3 */

typedef struct {
    int64_t desi[PHASES], bgs[PHASES];
} Targeting;

#define FILL(column, type, field, need) DESI_FILL(Targeting, column, type, field, need)
static const DesiColumn targeting_columns[] = {
    FILL("DESI_TARGET", FITS_I64, desi[0], DESI_OPTIONAL),
    FILL("SV1_DESI_TARGET", FITS_I64, desi[1], DESI_OPTIONAL),
    FILL("SV2_DESI_TARGET", FITS_I64, desi[2], DESI_OPTIONAL),
    FILL("SV3_DESI_TARGET", FITS_I64, desi[3], DESI_OPTIONAL),
    FILL("BGS_TARGET", FITS_I64, bgs[0], DESI_OPTIONAL),
    FILL("SV1_BGS_TARGET", FITS_I64, bgs[1], DESI_OPTIONAL),
    FILL("SV2_BGS_TARGET", FITS_I64, bgs[2], DESI_OPTIONAL),
    FILL("SV3_BGS_TARGET", FITS_I64, bgs[3], DESI_OPTIONAL),
    DESI_COLUMNS_END,
};
#undef FILL

enum { BIT_LRG = 0, BIT_ELG = 1, BIT_QSO = 2, BIT_LGE = 3, BIT_BGS_ANY = 60 };

static bool has_bit(int64_t mask, int bit) { return ((uint64_t)mask >> bit & 1) != 0; }

static uint8_t classes_of(int64_t desi, int64_t bgs, bool main_bits)
{
    bool lrg = has_bit(desi, BIT_LRG) || (main_bits && has_bit(desi, BIT_LGE)); /* bit 3 means others in SV */
    return (uint8_t)((has_bit(desi, BIT_BGS_ANY) || bgs != 0) << CLASS_BGS | lrg << CLASS_LRG |
                     has_bit(desi, BIT_ELG) << CLASS_ELG | has_bit(desi, BIT_QSO) << CLASS_QSO);
}

/* Whose columns a row's targeting bits are in; -1 = in none. */
static int phase_of(const CatalogRow *row, uint64_t found)
{
    const char *s = row->survey;
    if (s[0] == 's' && s[1] == 'v' && s[2] >= '1' && s[2] <= '3' && s[3] == '\0') return s[2] - '0';
    if (strcmp(s, "cmx") == 0) return -1;
    if (s[0] == '\0')
        for (int k = PHASES - 1; k > 0; k--)
            if (found >> k & 1) return k;
    return 0;
}

Status desi_fill_targeting(CatalogRow *rows, FitsFile *f, int64_t first, int64_t n, Arena *scratch)
{
    Targeting *t;
    uint64_t found;
    Mark mark = arena_mark(scratch);
    TRY(arena_new(&t, scratch, n));
    TRY(desi_fill(t, sizeof *t, &found, f, targeting_columns, first, n, scratch));
    for (int64_t i = 0; i < n; i++) {
        CatalogRow *r = &rows[i];
        int phase = phase_of(r, found);
        bool known = phase < 0 || (found >> phase & 1);
        if (!known) continue;
        r->unknown_z &= (uint8_t)~UNKNOWN_TARGET;
        if (phase < 0) continue;
        r->desi_target = t[i].desi[phase];
        r->bgs_target = t[i].bgs[phase];
        r->target_class = classes_of(r->desi_target, r->bgs_target, phase == 0);
    }
    arena_reset(scratch, mark);
    return OK;
}

/* ---- files beside a redshift file ---- */

static size_t stem_length(const char *path)
{
    size_t n = strlen(path);
    if (n > 3 && strcmp(path + n - 3, ".gz") == 0) n -= 3;
    return n > 5 && strncmp(path + n - 5, ".fits", 5) == 0 ? n - 5 : n;
}

bool desi_part_beside(char *out, size_t size, const char *path, const char *end)
{
    char name[2 * DESI_PATH];
    int length = snprintf(name, sizeof name, "%.*s%s.fits", (int)stem_length(path), path, end);
    return length > 0 && (size_t)length < sizeof name && survey_file(out, size, "", name);
}

/* FOLDER/KIND-REST.fits of FOLDER/redrock-REST.fits */
static bool kind_beside(char *out, size_t size, const char *path, const char *kind)
{
    char name[2 * DESI_PATH];
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (strncmp(base, "redrock-", 8) != 0) return false;
    int length = snprintf(name, sizeof name, "%.*s%s-%.*s.fits", (int)(base - path), path, kind,
                          (int)stem_length(base + 8), base + 8);
    return length > 0 && (size_t)length < sizeof name && survey_file(out, size, "", name);
}

static Status check_same_targets(FitsFile *f, const char *path, const CatalogRow *rows, int64_t first, int64_t n,
                                 int64_t n_file, Arena *scratch)
{
    int64_t n_beside, *id;
    TRY(desi_count_rows(&n_beside, f));
    if (n_beside != n_file)
        return FAIL(E_INPUT, "%s has %lld rows, %s has %lld: they do not belong together", f->path, (long long)n_beside,
                    path, (long long)n_file);
    Mark mark = arena_mark(scratch);
    TRY(arena_new(&id, scratch, n));
    TRY(fitsfile_read_column(id, f, "TARGETID", FITS_I64, first, n));
    for (int64_t i = 0; i < n; i++)
        if (id[i] != rows[i].targetid)
            return FAIL(E_INPUT, "row %lld: TARGETID is %lld in %s, %lld in %s: they do not belong together",
                        (long long)(first + i), (long long)id[i], f->path, (long long)rows[i].targetid, path);
    arena_reset(scratch, mark);
    return OK;
}

Status desi_open_beside(FitsFile *f, const char *beside, const char *path, const char *extname, const char *column,
                        const CatalogRow *rows, int64_t first, int64_t n, int64_t n_file, Arena *scratch)
{
    TRY(desi_open(f, beside));
    TRY(desi_goto_table(f, extname, column));
    return check_same_targets(f, path, rows, first, n, n_file, scratch);
}

/* ---- signs ---- */

enum { QN_LINES = 6 };

/* What the cuts look at beyond redshift, ZWARN, DELTACHI2 and SPECTYPE. */
typedef struct {
    float oii, oii_ivar;    /* flux of [OII] and its inverse variance */
    float line[QN_LINES];   /* confidence of QuasarNET in each line, 0 .. 1 */
    double z_new, zerr_new; /* of the second redrock fit, with quasar templates about QuasarNET's redshift */
    float tsnr2_lrg;
    uint8_t mgii, new_rr;    /* broad MgII; the second fit counts */
    uint8_t good[N_CLASSES]; /* the catalogue's own verdicts */
} Signs;

#define FILL(column, type, field) DESI_FILL(Signs, column, type, field, DESI_OPTIONAL)
static const DesiColumn sign_columns[] = {
    FILL("OII_FLUX", FITS_F32, oii),
    FILL("OII_FLUX_IVAR", FITS_F32, oii_ivar),
    FILL("C_LYA", FITS_F32, line[0]),
    FILL("C_CIV", FITS_F32, line[1]),
    FILL("C_CIII", FITS_F32, line[2]),
    FILL("C_MgII", FITS_F32, line[3]),
    FILL("C_Hbeta", FITS_F32, line[4]),
    FILL("C_Halpha", FITS_F32, line[5]),
    FILL("Z_NEW", FITS_F64, z_new),
    FILL("ZERR_NEW", FITS_F64, zerr_new),
    FILL("TSNR2_LRG", FITS_F32, tsnr2_lrg),
    FILL("IS_QSO_MGII", FITS_BOOL, mgii),
    FILL("IS_QSO_QN_NEW_RR", FITS_BOOL, new_rr),
    FILL("GOOD_Z_BGS", FITS_BOOL, good[CLASS_BGS]),
    FILL("GOOD_Z_LRG", FITS_BOOL, good[CLASS_LRG]),
    FILL("GOOD_Z_ELG", FITS_BOOL, good[CLASS_ELG]),
    FILL("GOOD_Z_QSO", FITS_BOOL, good[CLASS_QSO]),
    DESI_COLUMNS_END,
};

static uint64_t bits_of(const char *const *names, int n)
{
    uint64_t bits = 0;
    for (int k = 0; k < n; k++) bits |= desi_column_bit(sign_columns, names[k]);
    return bits;
}

static bool has_oii(uint64_t found)
{
    static const char *const need[] = {"OII_FLUX", "OII_FLUX_IVAR"};
    return (bits_of(need, 2) & ~found) == 0;
}

static bool has_qso(uint64_t found)
{
    static const char *const need[] = {"C_LYA",    "C_CIV",       "C_CIII",           "C_MgII", "C_Hbeta",
                                       "C_Halpha", "IS_QSO_MGII", "IS_QSO_QN_NEW_RR", "Z_NEW"};
    return (bits_of(need, 9) & ~found) == 0;
}

static bool has_verdict(uint64_t found, int class)
{
    static const char *const name[N_CLASSES] = {"GOOD_Z_BGS", "GOOD_Z_LRG", "GOOD_Z_ELG", "GOOD_Z_QSO"};
    return (found & desi_column_bit(sign_columns, name[class])) != 0;
}

/* The redshift file whose rows are wanted. */
typedef struct {
    const char *path;
    const CatalogRow *rows;
    int64_t first, n, n_file;
} Wanted;

/* Adds the columns of one file beside. */
static Status gather(Signs *signs, uint64_t *found, const char *beside, const char *extname, const char *column,
                     const Wanted *w, Arena *scratch)
{
    Status st = OK;
    FitsFile f = {0};
    uint64_t here = 0;
    TRY_DONE(desi_open_beside(&f, beside, w->path, extname, column, w->rows, w->first, w->n, w->n_file, scratch));
    TRY_DONE(desi_fill(signs, sizeof *signs, &here, &f, sign_columns, w->first, w->n, scratch));
    *found |= here;
done:
    fitsfile_close(&f);
    return st;
}

static Status gather_all(Signs *signs, uint64_t *found, DesiJudge kind, const Wanted *w, Arena *scratch)
{
    static const char *const file[][3] = {{"emline", "EMLINEFIT", "OII_FLUX"},
                                          {"qso_mgii", "MGII", "IS_QSO_MGII"},
                                          {"qso_qn", "QN_RR", "Z_NEW"}};
    char beside[2 * DESI_PATH];
    *found = 0;
    if (kind == JUDGE_CATALOG && desi_part_beside(beside, sizeof beside, w->path, "-extra"))
        return gather(signs, found, beside, "ZCATALOG_EXTRA", "Z", w, scratch);
    for (int k = 0; k < 3 && kind == JUDGE_REDROCK; k++)
        if (kind_beside(beside, sizeof beside, w->path, file[k][0]))
            TRY(gather(signs, found, beside, file[k][1], file[k][2], w, scratch));
    return OK;
}

/* ---- the cuts ---- */

enum { GOOD_FIBERSTATUS = 1 << 3 | 1 << 20 }; /* RESTRICTED and VARIABLE do not count against a spectrum */

static bool is_target(const CatalogRow *r) { return r->objtype[0] == '\0' || strcmp(r->objtype, "TGT") == 0; }

static bool quasarnet_sure(const Signs *s)
{
    for (int k = 0; k < QN_LINES; k++)
        if (s->line[k] > 0.99f) return true;
    return false;
}

static bool good_elg(const CatalogRow *r, const Signs *s)
{
    if (!(s->oii > 0 && s->oii_ivar > 0)) return false;
    return log10((double)s->oii * sqrt(s->oii_ivar)) > 0.9 - 0.2 * log10(r->deltachi2); /* NaN: false */
}

static bool good_qso(const CatalogRow *r, const Signs *s)
{
    return is_target(r) && (strcmp(r->spectype, "QSO") == 0 || s->mgii || quasarnet_sure(s));
}

static bool is_good(const CatalogRow *r, const Signs *s, int class)
{
    if ((r->fiberstatus & ~GOOD_FIBERSTATUS) != 0) return false;
    switch (class) {
    case CLASS_BGS: return r->zwarn == 0 && r->deltachi2 > 40;
    case CLASS_LRG: return r->zwarn == 0 && r->z < 1.5 && r->deltachi2 > 15;
    case CLASS_ELG: return good_elg(r, s);
    default: return good_qso(r, s);
    }
}

static void take_new_redshift(CatalogRow *r, const Signs *s)
{
    if (!is_target(r) || !s->new_rr || !quasarnet_sure(s) || !isfinite(s->z_new)) return;
    r->z = s->z_new;
    r->zerr = s->zerr_new;
    memset(r->spectype, 0, sizeof r->spectype);
    strcpy(r->spectype, "QSO");
}

Status desi_judge_redshifts(CatalogRow *rows, DesiJudge kind, bool has_deltachi2, const char *path, int64_t first,
                            int64_t n, int64_t n_file, Arena *scratch)
{
    Signs *signs;
    uint64_t found;
    Mark mark = arena_mark(scratch);
    TRY(arena_new(&signs, scratch, n));
    TRY(gather_all(signs, &found, kind, &(Wanted){path, rows, first, n, n_file}, scratch));
    const bool judged[N_CLASSES] = {has_deltachi2, has_deltachi2, has_deltachi2 && has_oii(found), has_qso(found)};
    bool verdict[N_CLASSES];
    for (int k = 0; k < N_CLASSES; k++) verdict[k] = has_verdict(found, k);
    bool again = kind == JUDGE_REDROCK && has_qso(found);
    bool depth = (found & desi_column_bit(sign_columns, "TSNR2_LRG")) != 0;
    for (int64_t i = 0; i < n; i++) {
        CatalogRow *r = &rows[i];
        for (int k = 0; k < N_CLASSES; k++) {
            if (!verdict[k] && !judged[k]) continue;
            r->unknown_z &= (uint8_t) ~(1u << k);
            if (verdict[k] ? signs[i].good[k] != 0 : is_good(r, &signs[i], k)) r->good_z |= (uint8_t)(1u << k);
        }
        if (depth) r->tsnr2_lrg = signs[i].tsnr2_lrg;
        if (again) take_new_redshift(r, &signs[i]);
    }
    arena_reset(scratch, mark);
    return OK;
}
