/* sdss_rows.c - catalogue rows from HDU 2 of spec files, or from the specObj and spAll tables of a release: the same
   columns, as the pipeline writes the row of specObj (SDSS) or spAll (BOSS) into each spec file.

   ZWARNING has the bits of DESI's ZWARN up to 9. RCHI2DIFF is per degree of freedom, so DELTACHI2 stays unknown. A spec
   file that cannot be read becomes a row all the same, by its name and what is left of its header. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "core/log.h"
#include "data/desi.h"
#include "data/sdss.h"

enum {
    WORD = 24,        /* cells of text columns: longer than any word that is looked for */
    CHUNK_ROWS = 4096 /* read column by column: 3 MB of specObj, which stay in memory meanwhile */
};

/* ---- columns ---- */

/* The first of two names that the table has; NULL where it has neither. */
static const char *pick(FitsFile *f, const char *name, const char *other)
{
    if (fitsfile_has_column(f, name)) return name;
    return other && fitsfile_has_column(f, other) ? other : NULL;
}

static Status check_width(FitsFile *f, const char *column, int64_t expected)
{
    int64_t width;
    TRY(fitsfile_column_width(&width, f, column));
    if (width != expected)
        return FAIL(E_INPUT, "%s: HDU %s: column %s has %lld values per row, not %lld", f->path, f->hdu, column,
                    (long long)width, (long long)expected);
    return OK;
}

/* Numbers of rows [first, first + n); NaN without the column. */
static Status read_reals(double *out, FitsFile *f, const char *name, const char *other, int64_t first, int64_t n)
{
    const char *column = pick(f, name, other);
    for (int64_t i = 0; i < n && !column; i++) out[i] = NAN;
    if (!column) return OK;
    TRY(check_width(f, column, 1));
    return fitsfile_read_column(out, f, column, FITS_F64, first, n);
}

/* Whole numbers; `missing` without the column. */
static Status read_wholes(int64_t *out, FitsFile *f, const char *column, int64_t missing, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = missing;
    if (!fitsfile_has_column(f, column)) return OK;
    TRY(check_width(f, column, 1));
    return fitsfile_read_column(out, f, column, FITS_I64, first, n);
}

/* Words in cells of WORD bytes; empty without the column. */
static Status read_words(char *out, FitsFile *f, const char *name, const char *other, int64_t first, int64_t n)
{
    const char *column = pick(f, name, other);
    memset(out, 0, (size_t)n * WORD);
    return column ? fitsfile_read_text(out, WORD, f, column, first, n) : OK;
}

static const char *first_letter(const char *text)
{
    while (*text == ' ') text++;
    return text;
}

/* Lower-case letters and digits of a word that fits; else it stays empty. */
static void keep_word(char out[8], const char *text)
{
    text = first_letter(text);
    size_t n = strlen(text);
    if (n > 7) return;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i])) return;
    for (size_t i = 0; i < n; i++) out[i] = (char)tolower((unsigned char)text[i]);
}

/* ---- what the columns say ---- */

static Status read_names(CatalogRow *rows, FitsFile *f, int64_t first, int64_t n, Arena *a)
{
    int64_t *number[3];
    static const char *const column[3] = {"PLATE", "MJD", "FIBERID"};
    for (int c = 0; c < 3; c++) {
        TRY(arena_new(&number[c], a, n));
        if (!fitsfile_has_column(f, column[c]))
            return FAIL(E_INPUT, "%s: HDU %s has no column %s: it is neither specObj nor spAll", f->path, f->hdu,
                        column[c]);
        TRY(read_wholes(number[c], f, column[c], -1, first, n));
    }
    for (int64_t i = 0; i < n; i++)
        if (!sdss_targetid(&rows[i].targetid, &(SdssName){number[0][i], number[1][i], number[2][i]}))
            rows[i].targetid = -1; /* no such observation: the catalogue rejects it */
    return OK;
}

static Status read_numbers(CatalogRow *rows, FitsFile *f, int64_t first, int64_t n, Arena *a)
{
    double *real;
    int64_t *whole;
    TRY(arena_new(&real, a, n));
    TRY(arena_new(&whole, a, n));
    TRY(read_reals(real, f, "PLUG_RA", "RA", first, n));
    for (int64_t i = 0; i < n; i++) rows[i].ra = real[i];
    TRY(read_reals(real, f, "PLUG_DEC", "DEC", first, n));
    for (int64_t i = 0; i < n; i++) rows[i].dec = real[i];
    TRY(read_reals(real, f, "Z", NULL, first, n));
    for (int64_t i = 0; i < n; i++) rows[i].z = real[i];
    TRY(read_reals(real, f, "Z_ERR", NULL, first, n));
    for (int64_t i = 0; i < n; i++) rows[i].zerr = real[i];
    TRY(read_wholes(whole, f, "ZWARNING", 0, first, n));
    for (int64_t i = 0; i < n; i++) rows[i].zwarn = whole[i];
    TRY(read_wholes(whole, f, "SPECPRIMARY", PRIMARY_UNKNOWN, first, n));
    for (int64_t i = 0; i < n; i++) rows[i].zcat_primary = whole[i] == PRIMARY_UNKNOWN ? PRIMARY_UNKNOWN : whole[i] > 0;
    return OK;
}

/* SURVEY of the table; older ones say it in other columns. */
static void name_survey(CatalogRow *row, const char *survey, const char *program, const char *run2d)
{
    keep_word(row->survey, survey);
    if (row->survey[0] != '\0') return;
    keep_word(row->survey, program);
    if (strcmp(row->survey, "boss") == 0 || strcmp(row->survey, "eboss") == 0) return;
    memset(row->survey, 0, sizeof row->survey);
    memcpy(row->survey, first_letter(run2d)[0] == 'v' ? "boss" : "sdss", 4);
}

/* PROGRAM is the reduction, RUN2D: with it the row leads to its file, and two reductions of one observation are two rows. */
static Status name_program(CatalogRow *row, const SdssConfig *c, const char *run2d, const char *path)
{
    run2d = first_letter(run2d);
    if (sdss_is_run2d(run2d)) {
        memcpy(row->program, run2d, strlen(run2d));
        return OK;
    }
    if (c->catalog[0] != '\0' && c->layout < SDSS_PLATE && c->run2d[0] == '\0')
        return FAIL(E_INPUT,
                    "%s: RUN2D '%s' is not 1 to 7 letters and digits: name the reduction in "
                    "release.spectra.run2d",
                    path, run2d);
    return OK;
}

static Status read_texts(CatalogRow *rows, const SdssConfig *c, FitsFile *f, int64_t first, int64_t n, Arena *a)
{
    char *survey, *program, *run2d, *class, *target;
    char **const column[] = {&survey, &program, &run2d, &class, &target};
    static const char *const name[][2] = {
        {"SURVEY", NULL}, {"PROGRAMNAME", NULL}, {"RUN2D", NULL}, {"CLASS", NULL}, {"SOURCETYPE", "OBJTYPE"}};
    for (int k = 0; k < 5; k++) {
        TRY(arena_take((void **)column[k], a, n, WORD));
        TRY(read_words(*column[k], f, name[k][0], name[k][1], first, n));
    }
    for (int64_t i = 0; i < n; i++) {
        CatalogRow *row = &rows[i];
        name_survey(row, survey + i * WORD, program + i * WORD, run2d + i * WORD);
        TRY(name_program(row, c, run2d + i * WORD, f->path));
        const char *spectype = first_letter(class + i * WORD);
        if (strlen(spectype) < sizeof row->spectype) memcpy(row->spectype, spectype, strlen(spectype));
        if (strcmp(first_letter(target + i * WORD), "SKY") == 0) memcpy(row->objtype, "SKY", 3);
    }
    return OK;
}

/* E(B-V) on the SFD scale from the extinctions in u g r i z, which are E(B-V) times one of two sets of numbers: those of
   Schlafly & Finkbeiner 2011 (Table 6, R_V = 3.1) since 2013, those of Schlegel et al. 1998 (Table 6) before. All five
   must agree on one E(B-V); the sets differ by a fifth. */
static float ebv_of(const double extinction[5])
{
    static const double per_ebv[2][5] = {{4.239, 3.303, 2.285, 1.698, 1.263}, {5.155, 3.793, 2.751, 2.086, 1.479}};
    for (int set = 0; set < 2; set++) {
        double ebv = extinction[2] / per_ebv[set][2];
        bool agree = ebv > 0;
        for (int b = 0; b < 5; b++) agree &= fabs(extinction[b] / per_ebv[set][b] - ebv) <= 0.005 * ebv;
        if (agree) return (float)ebv;
    }
    return NAN;
}

static Status read_ebv(CatalogRow *rows, FitsFile *f, int64_t first, int64_t n, Arena *a)
{
    double *extinction;
    if (!fitsfile_has_column(f, "EXTINCTION")) return OK;
    TRY(check_width(f, "EXTINCTION", 5));
    TRY(arena_new(&extinction, a, 5 * n));
    TRY(fitsfile_read_column(extinction, f, "EXTINCTION", FITS_F64, first, n));
    for (int64_t i = 0; i < n; i++) rows[i].ebv = ebv_of(extinction + 5 * i);
    return OK;
}

/* Rows [first, first + n) of the current HDU. */
static Status read_table(CatalogRow *rows, const SdssConfig *c, FitsFile *f, int64_t first, int64_t n, Arena *a)
{
    for (int64_t at = 0; at < n; at += CHUNK_ROWS) {
        int64_t count = n - at < CHUNK_ROWS ? n - at : CHUNK_ROWS;
        Mark mark = arena_mark(a);
        TRY(read_names(rows + at, f, first + at, count, a));
        TRY(read_numbers(rows + at, f, first + at, count, a));
        TRY(read_texts(rows + at, c, f, first + at, count, a));
        TRY(read_ebv(rows + at, f, first + at, count, a));
        arena_reset(a, mark);
    }
    return OK;
}

/* ---- files ---- */

/* HDU 2 of a spec file under its two names, or whatever stands there. */
static Status goto_object(FitsFile *f)
{
    if (fitsfile_has(f, "SPECOBJ")) return fitsfile_goto(f, "SPECOBJ");
    if (fitsfile_has(f, "SPALL")) return fitsfile_goto(f, "SPALL");
    return fitsfile_goto_number(f, 2);
}

Status sdss_count_redshifts(int64_t *n, const void *config, const char *path, Arena *scratch)
{
    const SdssConfig *c = config;
    char full[2 * FITS_PATH];
    FitsFile f = {0};
    Status st = OK;
    (void)scratch;
    *n = 1;
    if (c->catalog[0] == '\0') return OK;
    survey_file(full, sizeof full, c->root, path);
    TRY_DONE(desi_open(&f, full));
    TRY_DONE(fitsfile_goto_number(&f, 1));
    st = fitsfile_rows(n, &f);
done:
    fitsfile_close(&f);
    return st;
}

static Status read_file(CatalogRow *rows, const SdssConfig *c, const char *full, int64_t first, int64_t n, Arena *a)
{
    FitsFile f = {0};
    int64_t n_file;
    Status st = OK;
    TRY_DONE(desi_open(&f, full));
    if (c->catalog[0] == '\0')
        TRY_DONE(goto_object(&f));
    else
        TRY_DONE(fitsfile_goto_number(&f, 1));
    TRY_DONE(fitsfile_rows(&n_file, &f));
    if (first + n > n_file)
        TRY_DONE(FAIL(E_INPUT, "%s: HDU %s has %lld rows, %lld are needed", full, f.hdu, (long long)n_file,
                      (long long)(first + n)));
    st = read_table(rows, c, &f, first, n, a);
done:
    fitsfile_close(&f);
    return st;
}

static void start_rows(CatalogRow *rows, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        catalog_new_row(&rows[i]);
        rows[i].source_row = first + i;
        rows[i].has_spectrum = 1;
    }
}

/* Position of the fibre by the primary header, which stands at the start of a file: a cut often leaves it. */
static void read_position(CatalogRow *row, const char *full)
{
    FitsFile f = {0};
    double ra, dec;
    if (fitsfile_open(&f, full) == OK && fitsfile_goto_number(&f, 0) == OK && fitsfile_get_f64(&ra, &f, "PLUG_RA") &&
        fitsfile_get_f64(&dec, &f, "PLUG_DEC"))
        row->ra = ra, row->dec = dec;
    fitsfile_close(&f);
    fail_clear();
}

Status sdss_read_redshifts(CatalogRow *rows, const void *config, const char *path, int64_t first, int64_t n,
                           Arena *scratch)
{
    const SdssConfig *c = config;
    char full[2 * FITS_PATH];
    SdssName name;
    start_rows(rows, first, n);
    survey_file(full, sizeof full, c->root, path);
    Mark mark = arena_mark(scratch);
    Status st = read_file(rows, c, full, first, n, scratch);
    arena_reset(scratch, mark);
    bool spec_file = c->catalog[0] == '\0' && n == 1;
    if (st == OK && spec_file && isnan(rows[0].ra)) read_position(&rows[0], full);
    if (st != E_INPUT || !spec_file || !sdss_parse_name(&name, path)) return st;
    start_rows(rows, first, n);
    if (!sdss_targetid(&rows[0].targetid, &name)) return st;
    memcpy(rows[0].survey, "sdss", 4);
    log_rank("%s: its row has the name and at most the position", fail_record()->text);
    read_position(&rows[0], full);
    return OK;
}
