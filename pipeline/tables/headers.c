/* headers.c - the headers of properties.fits, by the rules for DESI's value-added catalogues: EXTNAME, checksums and units
   in every HDU, provenance in the primary one. */
#include "tables/headers.h"

#include <stdio.h>
#include <string.h>

static Status write_primary(FitsFile *f, const Envelope *e, const PropertyLayout *l, bool morphology,
                            const Fingerprint *catalog, const Fingerprint *embeddings, int64_t n_rows)
{
    TRY(fitsfile_put_text(f, "EXTNAME", "PRIMARY",
                          morphology ? "tables: PROPERTIES, PROBES, MORPHOLOGY" : "tables: PROPERTIES, PROBES"));
    TRY(artefact_write_fits(f, e));
    TRY(fitsfile_put_i64(f, "ROWSIN", n_rows, "rows of the catalogue"));
    TRY(fitsfile_put_i64(f, "ROWSOUT", n_rows, "rows of PROPERTIES"));
    TRY(fitsfile_put_text(f, "FPCAT", catalog->text, "fingerprint of catalog.h5"));
    TRY(fitsfile_put_text(f, "FPEMB", embeddings->text, "fingerprint of embeddings.h5"));
    TRY(fitsfile_put_text(f, "FPPROBE", l->probes->envelope.fingerprint.text, "fingerprint of probes.h5"));
    return fitsfile_put_checksum(f);
}

/* ---- PROPERTIES ---- */

/* PREFIXnn = 'NAME: sentence', nn the number of the bit. */
static Status put_flag(FitsFile *f, const char *prefix, int32_t bit, const char *name, const char *sentence)
{
    char key[16], text[256];
    snprintf(key, sizeof key, "%s%02d", prefix, __builtin_ctz((unsigned)bit));
    snprintf(text, sizeof text, "%s: %s", name, sentence);
    return fitsfile_put_text(f, key, text, "");
}

static Status put_flags(FitsFile *f)
{
    static const char *const prefix[N_MODALITIES] = {[MODALITY_IMAGE] = "IFLAG", [MODALITY_SPECTRUM] = "SFLAG"};
    for (int m = 0; m < N_MODALITIES; m++)
        for (const FlagRow *row = flags_table((Modality)m); row->bit; row++)
            TRY(put_flag(f, prefix[m], row->bit, row->name, row->sentence));
    for (const PredFlagRow *row = pred_flag_table; row->bit; row++)
        TRY(put_flag(f, "PFLAG", row->bit, row->name, row->sentence));
    return OK;
}

/* Cards of the sums are there; later only their values change. */
static Status finish_header(RowSpan *out, FitsFile *f, const PropertyLayout *l, int64_t n_rows)
{
    TRY(fitsfile_put_datasum(f, 0));
    TRY(fitsfile_data_span(&out->start, &out->bytes, f));
    if (out->bytes != n_rows * l->row_bytes)
        return FAIL(E_BUG, "%s: the header says %lld bytes of rows, the columns say %lld", f->path,
                    (long long)out->bytes, (long long)(n_rows * l->row_bytes));
    return OK;
}

static Status write_properties_header(RowSpan *out, FitsFile *f, const PropertyLayout *l, int64_t n_rows)
{
    TRY(fitsfile_new_table(f, "PROPERTIES", l->fits, l->n, n_rows));
    TRY(fitsfile_put_i64(f, "HPXNSIDE", 64, "of HEALPIX"));
    TRY(fitsfile_put_bool(f, "HPXNEST", true, "of HEALPIX"));
    TRY(put_flags(f));
    return finish_header(out, f, l, n_rows);
}

/* ---- PROBES ---- */

enum { SHORT_TEXT = 16, LONG_TEXT = 32 };

static const FitsColumn probe_columns[] = {
    {"PROPERTY", "16A", "", "what is predicted"},
    {"COLUMN", "32A", "", "its column in PROPERTIES, blank = none"},
    {"ENCODER", "16A", "", "whose embedding"},
    {"MODALITY", "24A", "", "of what"},
    {"PROBE", "16A", "", "kind of regression"},
    {"UNIT", "16A", "", "of RMSE, BIAS, STD, L68, U68"},
    {"LAMBDA", "D", "", "regularisation"},
    {"N_TRAIN", "K", "", "objects it was fitted to"},
    {"N_TEST", "K", "", "objects of the scores"},
    {"R2", "D", "", "coefficient of determination, test split"},
    {"RMSE", "D", "", "root mean square residual, test split"},
    {"BIAS", "D", "", "mean residual, test split"},
    {"SIGMA_NMAD", "D", "", "of redshifts, test split"},
    {"OUTLIER_FRACTION", "D", "", "of redshifts, test split"},
    {"STD", "D", "", "std of residuals: val, or train if val < 10"},
    {"L68", "D", "", "16 % quantile of truth - prediction, val"},
    {"U68", "D", "", "84 % quantile of truth - prediction, val"},
    {"OOD_LIMIT", "D", "", "OOD score, 99 %: val, or train if val < 10"},
};

const FitsColumn *headers_probe_columns(int *n)
{
    *n = (int)(sizeof probe_columns / sizeof probe_columns[0]);
    return probe_columns;
}

static Status write_probe(FitsFile *f, const PropertyLayout *l, int fit)
{
    const ProbeSet *p = l->probes;
    const ProbeFit *b = &p->fit[fit];
    const ProbeInput *input = &p->input[b->input];
    const Scores *test = &b->score[SPLIT_TEST];
    char column[COLUMN_NAME];
    layout_column_name(column, l, fit);
    const struct {
        const char *column, *text;
    } texts[] = {{"PROPERTY", label_table[b->label].name}, {"COLUMN", column},  {"ENCODER", input->row->encoder},
                 {"MODALITY", input->row->modality},       {"PROBE", b->probe}, {"UNIT", label_table[b->label].unit}};
    const struct {
        const char *column;
        int64_t value;
    } counts[] = {{"N_TRAIN", b->score[SPLIT_TRAIN].n}, {"N_TEST", test->n}};
    const struct {
        const char *column;
        double value;
    } numbers[] = {{"LAMBDA", b->lambda},
                   {"R2", test->r2},
                   {"RMSE", test->rmse},
                   {"BIAS", test->bias},
                   {"SIGMA_NMAD", test->sigma_nmad},
                   {"OUTLIER_FRACTION", test->outlier_fraction},
                   {"STD", b->calibration.all.std},
                   {"L68", b->calibration.all.l68},
                   {"U68", b->calibration.all.u68},
                   {"OOD_LIMIT", input->ood_quantile}};
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++)
        TRY(fitsfile_write_text(f, texts[i].column, texts[i].text, strlen(texts[i].text) + 1, fit, 1));
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++)
        TRY(fitsfile_write_column(f, counts[i].column, FITS_I64, &counts[i].value, fit, 1));
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        TRY(fitsfile_write_column(f, numbers[i].column, FITS_F64, &numbers[i].value, fit, 1));
    return OK;
}

static Status write_probes(FitsFile *f, const PropertyLayout *l)
{
    const ProbeSet *p = l->probes;
    TRY(fitsfile_new_table(f, "PROBES", probe_columns, (int)(sizeof probe_columns / sizeof probe_columns[0]),
                           p->n_fits));
    for (int fit = 0; fit < p->n_fits; fit++) TRY(write_probe(f, l, fit));
    return fitsfile_put_checksum(f);
}

/* ---- MORPHOLOGY ---- */

static Status write_morphology_header(RowSpan *out, FitsFile *f, const PropertyLayout *l, int64_t n_rows)
{
    TRY(fitsfile_new_table(f, "MORPHOLOGY", l->fits, l->n, n_rows));
    TRY(fitsfile_put_text(f, "ROWMATCH", "PROPERTIES", "the same objects in the same order"));
    TRY(fitsfile_put_text(f, "QUESTION", "Galaxy Zoo DECaLS", "of whose questions the columns speak"));
    return finish_header(out, f, l, n_rows);
}

/* ---- the file ---- */

Status headers_write(RowSpan out[N_ROW_TABLES], const char *part, const Envelope *e, const PropertyLayout *l,
                     const Fingerprint *catalog, const Fingerprint *embeddings, int64_t n_rows)
{
    Status st = OK;
    FitsFile f = {0};
    const bool morphology = l[TABLE_MORPHOLOGY].n > 0;
    out[TABLE_MORPHOLOGY] = (RowSpan){0, 0};
    TRY(fitsfile_create(&f, part));
    TRY_DONE(write_primary(&f, e, l, morphology, catalog, embeddings, n_rows));
    TRY_DONE(write_properties_header(&out[TABLE_PROPERTIES], &f, l, n_rows));
    TRY_DONE(write_probes(&f, l));
    if (morphology) TRY_DONE(write_morphology_header(&out[TABLE_MORPHOLOGY], &f, &l[TABLE_MORPHOLOGY], n_rows));
    return fitsfile_finish(&f);
done:
    fitsfile_close(&f);
    return st;
}

Status headers_close(const char *part, const PropertyLayout *l, const uint32_t datasum[N_ROW_TABLES])
{
    static const char *const hdu[N_ROW_TABLES] = {"PROPERTIES", "MORPHOLOGY"};
    Status st = OK;
    FitsFile f = {0};
    TRY(fitsfile_reopen(&f, part));
    TRY_DONE(artefact_put_seconds_fits(&f));
    for (int t = 0; t < N_ROW_TABLES; t++) {
        if (l[t].n == 0) continue;
        TRY_DONE(fitsfile_goto(&f, hdu[t]));
        TRY_DONE(fitsfile_put_datasum(&f, datasum[t]));
    }
    return fitsfile_finish(&f);
done:
    fitsfile_close(&f);
    return st;
}
