/* columns.c - the list of columns, and an object as a row of big-endian bytes. */
#include "tables/columns.h"
#include "probe/morphology.h"
#include "tables/rowbytes.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const PredFlagRow pred_flag_table[] = {
    {PRED_NO_IMAGE, "NO_IMAGE", "nothing predicted from it: IMAGE_FLAG says why"},
    {PRED_NO_SPECTRUM, "NO_SPECTRUM", "nothing predicted from it: SPECTRUM_FLAG says why"},
    {PRED_OOD_IMAGE, "OOD_IMAGE", "image embedding beyond 99 % of those of the val split"},
    {PRED_OOD_SPECTRUM, "OOD_SPECTRUM", "spectrum embedding beyond 99 % of the val split's"},
    {PRED_OOD_BOTH, "OOD_BOTH", "both embeddings together beyond 99 % of the val split's"},
    {PRED_TRAINING, "TRAINING", "in the train split: its predictions are no test"},
    {PRED_EXTRAPOLATED, "EXTRAPOLATED", "a value is beyond the labels it was learnt from"},
    {PRED_NOT_IN_CATALOGUE, "NOT_IN_CATALOGUE", "a row of the matched table that was not embedded"},
    {0, NULL, NULL},
};

/* ---- columns that come from the catalogue as they are ---- */

typedef struct {
    FitsColumn fits;
    size_t offset; /* in CatalogRow */
    int text;      /* KeyText whose width applies, or -1 */
} CatalogColumn;

#define FIELD(f) offsetof(CatalogRow, f)
static const CatalogColumn catalog_columns[] = {
    {{"TARGETID", "K", "", "DESI target identifier"}, FIELD(targetid), -1},
    {{"SURVEY", "A", "", "survey of the spectrum"}, FIELD(survey), KEY_SURVEY},
    {{"PROGRAM", "A", "", "program of the spectrum"}, FIELD(program), KEY_PROGRAM},
    {{"HEALPIX", "J", "", "pixel of the file: nside 64, nested"}, FIELD(healpix), -1},
    {{"TARGET_RA", "D", "deg", "[deg] right ascension, J2000"}, FIELD(ra), -1},
    {{"TARGET_DEC", "D", "deg", "[deg] declination, J2000"}, FIELD(dec), -1},
    {{"RELEASE", "I", "", "release of the photometry"}, FIELD(release), -1},
    {{"BRICKID", "J", "", "brick of the photometry"}, FIELD(brickid), -1},
    {{"BRICK_OBJID", "J", "", "object number in the brick"}, FIELD(brick_objid), -1},
    {{"PHOTSYS", "1A", "", "N = BASS/MzLS, S = DECam"}, FIELD(photsys), -1},
    {{"Z", "D", "", "spectroscopic redshift (redrock)"}, FIELD(z), -1},
    {{"ZWARN", "K", "", "redshift warning bits, 0 = good"}, FIELD(zwarn), -1},
    {{"SPECTYPE", "A", "", "spectral class (redrock)"}, FIELD(spectype), KEY_SPECTYPE},
    {{"ZCAT_PRIMARY", "L", "", "the best row of its TARGETID"}, FIELD(zcat_primary), -1},
};
enum { N_CATALOG_COLUMNS = sizeof catalog_columns / sizeof catalog_columns[0], SPLIT_CHARACTERS = 5, N_KEYS = 4 };

static const int64_t usual_width[N_KEY_TEXTS] = {7, 6, 6}; /* DESI: 7A, 6A, 6A */
static const size_t key_offset[N_KEY_TEXTS] = {FIELD(survey), FIELD(program), FIELD(spectype)};
static const size_t key_cell[N_KEY_TEXTS] = {sizeof((CatalogRow *)0)->survey, sizeof((CatalogRow *)0)->program,
                                             sizeof((CatalogRow *)0)->spectype};
#undef FIELD

void key_widths_add(KeyWidths *w, const CatalogRow *row, int64_t n)
{
    for (int k = 0; k < N_KEY_TEXTS; k++)
        for (int64_t i = 0; i < n; i++) {
            int64_t length = (int64_t)strnlen((const char *)&row[i] + key_offset[k], key_cell[k]);
            if (length > w->width[k]) w->width[k] = length;
        }
}

/* ---- the layout ---- */

/* Bytes of a value of this TFORM. */
static int64_t format_bytes(const char *format)
{
    char *end;
    long n = strtol(format, &end, 10);
    if (end == format) n = 1;
    switch (*end) {
    case 'K':
    case 'D': return 8 * n;
    case 'J':
    case 'E': return 4 * n;
    case 'I': return 2 * n;
    default: return n; /* A, L */
    }
}

static void add_column(PropertyLayout *l, FitsColumn fits, ColumnSource source, int index)
{
    l->fits[l->n] = fits;
    l->column[l->n++] = (PropertyColumn){source, index, l->row_bytes, format_bytes(fits.format)};
    l->row_bytes += format_bytes(fits.format);
}

/* The stem of predicted columns. The spectroscopic redshift owns the name Z. */
static const char *stem_of(int label) { return label == LABEL_Z ? "ZPRED" : label_table[label].column; }

static bool was_made(const ProbeFit *f) { return isfinite(f->label_min); }

/* The fit of the probe asked for, or the ridge's where that was not made. */
static bool is_published(const ProbeSet *p, int fit, const char *probe)
{
    const ProbeFit *f = &p->fit[fit];
    if (p->input[f->input].row->column[0] == '\0') return false;
    if (strcmp(f->probe, probe) == 0) return was_made(f) || strcmp(probe, "ridge") == 0;
    if (strcmp(f->probe, "ridge") != 0) return false;
    for (int i = 0; i < p->n_fits; i++) {
        const ProbeFit *other = &p->fit[i];
        if (other->input == f->input && other->label == f->label && strcmp(other->probe, probe) == 0 && was_made(other))
            return false;
    }
    return true;
}

void layout_column_name(char out[COLUMN_NAME], const PropertyLayout *l, int fit)
{
    const ProbeFit *f = &l->probes->fit[fit];
    out[0] = '\0';
    if (l->published[fit])
        snprintf(out, COLUMN_NAME, "%s_%s", stem_of(f->label), l->probes->input[f->input].row->column);
}

static Status add_catalog_columns(PropertyLayout *l, const KeyWidths *widths, int n, Arena *a)
{
    for (int c = 0; c < n; c++) {
        FitsColumn fits = catalog_columns[c].fits;
        int text = catalog_columns[c].text;
        if (text >= 0) {
            int64_t width = widths->width[text] > usual_width[text] ? widths->width[text] : usual_width[text];
            char *format;
            TRY(arena_printf(&format, a, "%lldA", (long long)width));
            fits.format = format;
        }
        add_column(l, fits, FROM_CATALOG, c);
    }
    return OK;
}

static void add_row_columns(PropertyLayout *l)
{
    add_column(l, (FitsColumn){"SPLIT", "5A", "", "train, val or test, for the probes"}, FROM_SPLIT, 0);
    add_column(l, (FitsColumn){"IMAGE_FLAG", "J", "", "bits: keywords IFLAGnn"}, FROM_FLAG, MODALITY_IMAGE);
    add_column(l, (FitsColumn){"SPECTRUM_FLAG", "J", "", "bits: keywords SFLAGnn"}, FROM_FLAG, MODALITY_SPECTRUM);
    add_column(l, (FitsColumn){"PRED_FLAG", "J", "", "bits: keywords PFLAGnn"}, FROM_PRED_FLAG, 0);
    for (int s = 0; s < N_SPECTRUM_STATS; s++) {
        bool masked = s <= STAT_FRAC_MASKED_Z;
        const char *comment =
            masked ? "share of the arm's pixels without data" : "median flux / noise per pixel of the arm";
        add_column(l, (FitsColumn){spectrum_stat_name[s], "E", "", comment}, FROM_STATS, s);
    }
}

static Status add_ood_columns(PropertyLayout *l, const ProbeSet *p, Arena *a)
{
    for (int i = 0; i < p->n_inputs; i++) {
        char *name;
        if (p->input[i].row->column[0] == '\0') continue;
        TRY(arena_printf(&name, a, "OOD_%s", p->input[i].row->column));
        add_column(l, (FitsColumn){name, "E", "", "out of distribution: train rows are near 1"}, FROM_OOD, i);
    }
    return OK;
}

static Status add_fit_columns(PropertyLayout *l, const ProbeSet *p, int fit, Arena *a)
{
    static const struct {
        ColumnSource source;
        const char *suffix, *comment; /* NULL: what the property means */
    } part[] = {{FROM_VALUE, "", NULL},
                {FROM_STD, "_STD", "standard deviation of truth - value"},
                {FROM_L68, "_L68", "16 % quantile of the truth"},
                {FROM_U68, "_U68", "84 % quantile of the truth"},
                {FROM_L95, "_L95", "2.5 % quantile of the truth"},
                {FROM_U95, "_U95", "97.5 % quantile of the truth"}};
    const LabelRow *label = &label_table[p->fit[fit].label];
    const char *unit = label->unit;
    char stem[COLUMN_NAME];
    layout_column_name(stem, l, fit);
    for (unsigned k = 0; stem[0] && k < sizeof part / sizeof part[0]; k++) {
        const char *what = part[k].comment ? part[k].comment : label->meaning;
        char *name, *comment;
        TRY(arena_printf(&name, a, "%s%s", stem, part[k].suffix));
        TRY(arena_printf(&comment, a, "%s%s%s%s", unit[0] ? "[" : "", unit, unit[0] ? "] " : "", what));
        add_column(l, (FitsColumn){name, "E", unit, comment}, part[k].source, fit);
    }
    return OK;
}

Status layout_make(PropertyLayout *l, const ProbeSet *p, const char *probe, const KeyWidths *widths, Arena *a)
{
    int most = N_CATALOG_COLUMNS + 4 + N_SPECTRUM_STATS + p->n_inputs + 6 * p->n_fits;
    *l = (PropertyLayout){.probes = p};
    TRY(arena_new(&l->fits, a, most));
    TRY(arena_new(&l->column, a, most));
    TRY(arena_new(&l->published, a, p->n_fits));
    for (int f = 0; f < p->n_fits; f++) l->published[f] = is_published(p, f, probe);
    TRY(add_catalog_columns(l, widths, N_CATALOG_COLUMNS, a));
    add_row_columns(l);
    TRY(add_ood_columns(l, p, a));
    for (int f = 0; f < p->n_fits; f++) TRY(add_fit_columns(l, p, f, a));
    return OK;
}

/* ---- morphology ---- */

/* A question's fits of one input: 0 = nothing, 1 = something, 2 = what goes with the probe. */
static int wanted(const MorphologyFit *m, const char *probe)
{
    if (m->n_weights == 0) return 0;
    return (strcmp(m->probe, "mlp") == 0) == (strcmp(probe, "mlp") == 0) ? 2 : 1;
}

/* "MORPH_HAS_SPIRAL_ARMS_YES_IMAGE" */
static Status share_name(char **out, const MorphologyFit *m, int answer, const ProbeInputRow *row, Arena *a)
{
    const VoteQuestion *q = &vote_questions[m->question];
    TRY(arena_printf(out, a, "MORPH_%s_%s_%s", q->name, q->answer[answer], row->column));
    for (char *at = *out; *at; at++) *at = *at == '-' ? '_' : *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    return OK;
}

static Status add_shares(PropertyLayout *l, MorphologyShare *share, int *n, int fit, Arena *a)
{
    const MorphologyFit *m = &l->probes->morphology[fit];
    for (int k = 0; k < vote_questions[m->question].n_answers; k++) {
        char *name;
        TRY(share_name(&name, m, k, l->probes->input[m->input].row, a));
        add_column(l, (FitsColumn){name, "E", "", "share of votes that volunteers would give"}, FROM_SHARE, *n);
        share[(*n)++] = (MorphologyShare){fit, k};
    }
    return OK;
}

Status layout_make_morphology(PropertyLayout *l, MorphologyShare **share, int *n_shares, const ProbeSet *p,
                              const char *probe, const KeyWidths *widths, Arena *a)
{
    *l = (PropertyLayout){.probes = p};
    *n_shares = 0;
    TRY(arena_new(&l->fits, a, N_KEYS + (int64_t)p->n_morphology * MOST_ANSWERS));
    TRY(arena_new(&l->column, a, N_KEYS + (int64_t)p->n_morphology * MOST_ANSWERS));
    TRY(arena_new(share, a, (int64_t)p->n_morphology * MOST_ANSWERS));
    TRY(add_catalog_columns(l, widths, N_KEYS, a));
    for (int i = 0; i < p->n_morphology; i++) {
        const MorphologyFit *m = &p->morphology[i];
        bool best = p->input[m->input].row->column[0] != '\0' && wanted(m, probe) > 0;
        for (int k = 0; k < p->n_morphology; k++) {
            const MorphologyFit *o = &p->morphology[k];
            if (o->input != m->input || o->question != m->question || k == i) continue;
            if (wanted(o, probe) > wanted(m, probe) || (wanted(o, probe) == wanted(m, probe) && k < i)) best = false;
        }
        if (best) TRY(add_shares(l, *share, n_shares, i, a));
    }
    if (*n_shares == 0) l->n = 0;
    return OK;
}

/* ---- a row ---- */

static void put_catalog(unsigned char *out, const CatalogRow *row, const CatalogColumn *c, int64_t bytes)
{
    const char *from = (const char *)row + c->offset;
    int64_t k;
    int32_t j;
    int16_t i;
    double d;
    switch (c->fits.format[strspn(c->fits.format, "0123456789")]) {
    case 'K':
        memcpy(&k, from, sizeof k);
        put_big_endian(out, (uint64_t)k, bytes);
        break;
    case 'J':
        memcpy(&j, from, sizeof j);
        put_big_endian(out, (uint64_t)j, bytes);
        break;
    case 'I':
        memcpy(&i, from, sizeof i);
        put_big_endian(out, (uint64_t)i, bytes);
        break;
    case 'D':
        memcpy(&d, from, sizeof d);
        put_f64(out, d);
        break;
    case 'L': *out = *from ? 'T' : 'F'; break;
    default: put_text(out, from, c->text >= 0 ? key_cell[c->text] : 1, bytes);
    }
}

/* Numbers of predictions.h5 are float32: limits are rounded as they are. */
static bool is_extrapolated(const PropertyLayout *l, const ObjectRow *r)
{
    for (int f = 0; f < l->probes->n_fits; f++)
        if (l->published[f] && ((float)r->prediction[f] < (float)l->probes->fit[f].label_min ||
                                (float)r->prediction[f] > (float)l->probes->fit[f].label_max))
            return true;
    return false;
}

int32_t pred_flag(const PropertyLayout *l, const ObjectRow *r)
{
    const ProbeSet *p = l->probes;
    bool seen[N_MODALITIES] = {false, false};
    int32_t flag = r->catalog->split == SPLIT_TRAIN ? PRED_TRAINING : 0;
    for (int i = 0; i < p->n_inputs; i++) {
        const ProbeInputRow *row = p->input[i].row;
        if (row->column[0] == '\0') continue;
        for (int m = 0; m < N_MODALITIES; m++)
            if (strcmp(row->modality, modality_name[m]) == 0 && isfinite(r->ood[i])) seen[m] = true;
        for (const PredFlagRow *bit = pred_flag_table; bit->bit; bit++)
            if (strncmp(bit->name, "OOD_", 4) == 0 && strcmp(bit->name + 4, row->column) == 0 &&
                (float)r->ood[i] > (float)p->input[i].ood_quantile)
                flag |= bit->bit;
    }
    if (r->absent) flag |= PRED_NOT_IN_CATALOGUE;
    if (is_extrapolated(l, r)) flag |= PRED_EXTRAPOLATED;
    if (!seen[MODALITY_IMAGE]) flag |= PRED_NO_IMAGE;
    if (!seen[MODALITY_SPECTRUM]) flag |= PRED_NO_SPECTRUM;
    return flag;
}

void layout_put_row(unsigned char *out, const PropertyLayout *l, const ObjectRow *r)
{
    const float flux = r->catalog->flux[1];
    const double magnitude = flux > 0 && isfinite(flux) ? 22.5 - 2.5 * log10(flux) : NAN;
    for (int c = 0; c < l->n; c++) {
        const PropertyColumn *column = &l->column[c];
        unsigned char *to = out + column->offset;
        const int k = column->index;
        const ProbeFit *fit = column->source >= FROM_VALUE && column->source != FROM_SHARE ? &l->probes->fit[k] : NULL;
        const double y = fit ? r->prediction[k] : NAN;
        const Interval error =
            fit ? calibration_interval(&fit->calibration, y, r->scale[k], magnitude) : (Interval){0, 0, 0, 0, 0};
        switch (column->source) {
        case FROM_CATALOG: put_catalog(to, r->catalog, &catalog_columns[k], column->bytes); break;
        case FROM_SPLIT:
            put_text(to, r->catalog->split < N_SPLITS ? split_name[r->catalog->split] : "", SPLIT_CHARACTERS,
                     column->bytes);
            break;
        case FROM_FLAG: put_big_endian(to, (uint32_t)r->flag[k], column->bytes); break;
        case FROM_PRED_FLAG: put_big_endian(to, (uint32_t)pred_flag(l, r), column->bytes); break;
        case FROM_STATS: put_f32(to, r->stats[k]); break;
        case FROM_OOD: put_f32(to, r->ood[k]); break;
        case FROM_VALUE: put_f32(to, y); break;
        case FROM_STD: put_f32(to, error.std); break;
        case FROM_L68: put_f32(to, error.l68); break;
        case FROM_U68: put_f32(to, error.u68); break;
        case FROM_L95: put_f32(to, error.l95); break;
        case FROM_U95: put_f32(to, error.u95); break;
        case FROM_SHARE: put_f32(to, (double)r->share[k]); break;
        }
    }
}
