/* desi_exposures.c - from exposures to coadds: which exposures count, their sums, and the reading of a file of them.

   Targets are taken a few at a time; their exposures are read in file order, whichever target they are of, and added to
   the sums of their target. So each target's exposures are added in file order, whoever else is asked for. */
#include "data/desi_exposures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/flags.h"

enum { HELD_TARGETS = 32 }; /* sums in memory at a time: 12 MB */

/* ---- which exposures count ---- */

/* Bits of FIBERSTATUS (formats.md B3). */
static const int32_t useless = 1 << 0 | 1 << 2 | 1 << 8 | 1 << 9 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 21;
static const int32_t bad_amplifier[N_ARMS] = {1 << 22, 1 << 23, 1 << 24};
static const int32_t doubtful = 1 << 20;

Status exposures_read_status(int32_t **status, FitsFile *f, int64_t n_file, Arena *a)
{
    int64_t width;
    *status = NULL;
    TRY(fitsfile_goto(f, "FIBERMAP"));
    if (!fitsfile_has_column(f, "FIBERSTATUS")) return OK;
    TRY(fitsfile_column_width(&width, f, "FIBERSTATUS"));
    if (width != 1)
        return FAIL(E_INPUT, "%s: HDU FIBERMAP: FIBERSTATUS holds %lld numbers per row, 1 expected", f->path,
                    (long long)width);
    TRY(arena_new(status, a, n_file));
    return fitsfile_read_column(*status, f, "FIBERSTATUS", FITS_I32, 0, n_file);
}

void exposures_choose(bool *use, const int32_t *status, const DesiTarget *target, int64_t n, int b)
{
    const int32_t bad = useless | bad_amplifier[b];
    int64_t n_used = 0;
    for (int64_t i = 0; i < n; i++) {
        use[i] = !status || (status[target[i].row] & (bad | doubtful)) == 0;
        n_used += use[i];
    }
    for (int64_t i = 0; i < n && n_used == 0; i++) use[i] = (status[target[i].row] & bad) == 0;
}

int32_t exposures_status(const int32_t *status, const DesiTarget *target, int64_t n)
{
    bool any = false, clean = false; /* does one count? One without the doubtful bit? */
    int32_t all = -1, some = 0;
    const int32_t amplifiers = bad_amplifier[0] | bad_amplifier[1] | bad_amplifier[2];
    for (int64_t i = 0; i < n; i++) {
        int32_t s = status[target[i].row];
        bool counts = (s & useless) == 0 && (s & amplifiers) != amplifiers;
        some |= s;
        if (!counts) continue;
        bool is_clean = (s & doubtful) == 0;
        if (is_clean && !clean) all = -1; /* the doubtful ones before it do not count after all */
        if (is_clean || !clean) all &= s;
        clean |= is_clean;
        any = true;
    }
    return any ? all : some;
}

/* ---- sums ---- */

Status exposure_sum_new(ExposureSum *s, int64_t n, Arena *a)
{
    *s = (ExposureSum){.n = n};
    TRY(arena_new(&s->ivar, a, n));
    TRY(arena_new(&s->flux, a, n));
    TRY(arena_new(&s->raw, a, n));
    TRY(arena_new(&s->raw_flux, a, n));
    TRY(arena_new(&s->masks, a, n));
    TRY(arena_new(&s->out_flux, a, n));
    TRY(arena_new(&s->out_ivar, a, n));
    return arena_new(&s->out_mask, a, n);
}

void exposure_sum_clear(ExposureSum *s)
{
    const size_t doubles = (size_t)s->n * sizeof(double);
    s->nonfinite = false;
    if (s->n == 0) return;
    memset(s->ivar, 0, doubles);
    memset(s->flux, 0, doubles);
    memset(s->raw, 0, doubles);
    memset(s->raw_flux, 0, doubles);
    memset(s->masks, 0, (size_t)s->n * sizeof *s->masks);
}

void exposure_sum_add(ExposureSum *s, const float *flux, const float *ivar, const uint32_t *mask)
{
    for (int64_t k = 0; k < s->n; k++) {
        if (mask) s->masks[k] |= mask[k];
        if (!isfinite(flux[k]) || !isfinite(ivar[k])) {
            s->nonfinite = true;
            continue;
        }
        if (!(ivar[k] > 0)) continue;
        s->raw[k] += (double)ivar[k];
        s->raw_flux[k] += (double)ivar[k] * (double)flux[k];
        if (mask && mask[k] != 0) continue;
        s->ivar[k] += (double)ivar[k];
        s->flux[k] += (double)ivar[k] * (double)flux[k];
    }
}

Arm exposure_sum_finish(ExposureSum *s, int64_t start)
{
    for (int64_t k = 0; k < s->n; k++) {
        bool good = s->ivar[k] > 0;
        double weight = good ? s->ivar[k] : s->raw[k], sum = good ? s->flux[k] : s->raw_flux[k];
        s->out_ivar[k] = (float)weight;
        s->out_flux[k] = weight > 0 ? (float)(sum / weight) : 0;
        s->out_mask[k] = good ? 0 : s->masks[k];
    }
    return (Arm){.n = s->n, .start = start, .flux = s->out_flux, .ivar = s->out_ivar, .mask = s->out_mask};
}

/* ---- reading ---- */

/* A row of the request: where its target's exposures begin among the sorted targets. */
typedef struct {
    int64_t begin, wanted;
} Wanted;

typedef struct {
    int64_t file_row;
    int32_t held; /* which of the targets in memory */
    bool use[N_ARMS];
} Exposure;

typedef struct {
    ExposureSum sum[N_ARMS];
    bool broken; /* an exposure that counts cannot be read */
} Held;

typedef struct {
    SpectrumBatch *out;
    int64_t at, n_unreadable;
    const SpectraConfig *options;
    FitsFile *f;
    ArmFile *arms;
    const DesiTarget *target; /* all rows of the file, by TARGETID */
    int64_t n_file;
    const int32_t *status;
    Held held[HELD_TARGETS];
} Coadder;

static int compare_wanted(const void *a, const void *b)
{
    const Wanted *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->wanted > y->wanted) - (x->wanted < y->wanted);
}

static int compare_exposures(const void *a, const void *b)
{
    const Exposure *x = a, *y = b;
    return (x->file_row > y->file_row) - (x->file_row < y->file_row);
}

/* Exposures of the target that begins there. */
static int64_t count_exposures(const Coadder *c, int64_t begin)
{
    int64_t n = 1;
    while (begin + n < c->n_file && c->target[begin + n].id == c->target[begin].id) n++;
    return n;
}

/* Adds the exposures of one target that count for any arm. */
static Status add_target(Exposure *list, int64_t *n_list, const Coadder *c, int64_t begin, int32_t held, Arena *a)
{
    bool *use[N_ARMS];
    int64_t n = count_exposures(c, begin);
    for (int b = 0; b < N_ARMS; b++) {
        TRY(arena_new(&use[b], a, n));
        exposures_choose(use[b], c->status, c->target + begin, n, b);
    }
    for (int64_t i = 0; i < n; i++) {
        Exposure e = {c->target[begin + i].row, held, {use[0][i], use[1][i], use[2][i]}};
        if (e.use[0] || e.use[1] || e.use[2]) list[(*n_list)++] = e;
    }
    return OK;
}

/* Reads exposures in file order and adds each to the sums of its target. */
static Status add_exposures(Coadder *c, const Exposure *list, int64_t n)
{
    int64_t file_row[ARM_ROWS];
    bool ok[ARM_ROWS];
    for (int64_t first = 0; first < n; first += ARM_ROWS) {
        int64_t count = n - first < ARM_ROWS ? n - first : ARM_ROWS;
        for (int64_t k = 0; k < count; k++) file_row[k] = list[first + k].file_row;
        TRY(arms_read(ok, c->arms, c->f, file_row, count));
        for (int64_t k = 0; k < count; k++) {
            Held *held = &c->held[list[first + k].held];
            Arm arm[N_ARMS];
            held->broken |= !ok[k];
            arms_slot(arm, c->arms, k);
            for (int b = 0; b < N_ARMS; b++)
                if (ok[k] && arm[b].flux && list[first + k].use[b])
                    exposure_sum_add(&held->sum[b], arm[b].flux, arm[b].ivar, arm[b].mask);
        }
    }
    return OK;
}

static void merge_target(Coadder *c, Held *held, const Wanted *wanted, int64_t n)
{
    Arm arm[N_ARMS] = {0};
    bool nonfinite = false;
    for (int b = 0; b < N_ARMS; b++) {
        if (!c->arms->arm[b].present) continue;
        arm[b] = exposure_sum_finish(&held->sum[b], c->arms->arm[b].start);
        nonfinite |= held->sum[b].nonfinite;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t row = c->at + wanted[i].wanted;
        if (held->broken) {
            c->out->flag[row] = SPECTRUM_UNREADABLE;
            c->n_unreadable++;
            continue;
        }
        arms_merge(c->out, row, arm, c->arms->joined, c->options);
        if (nonfinite) c->out->flag[row] |= SPECTRUM_NONFINITE;
    }
}

/* Rows wanted[0 .. n), of at most HELD_TARGETS targets. */
static Status coadd_targets(Coadder *c, const Wanted *wanted, int64_t n, Arena *a)
{
    Exposure *list;
    int64_t total = 0, n_list = 0;
    int32_t held = 0;
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || wanted[i].begin != wanted[i - 1].begin) total += count_exposures(c, wanted[i].begin);
    TRY(arena_new(&list, a, total));
    for (int64_t i = 0; i < n; i++) {
        if (i > 0 && wanted[i].begin == wanted[i - 1].begin) continue;
        c->held[held].broken = false;
        for (int b = 0; b < N_ARMS; b++) exposure_sum_clear(&c->held[held].sum[b]);
        TRY(add_target(list, &n_list, c, wanted[i].begin, held++, a));
    }
    if (n_list > 1) qsort(list, (size_t)n_list, sizeof *list, compare_exposures);
    TRY(add_exposures(c, list, n_list));
    held = 0;
    for (int64_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && wanted[end].begin == wanted[i].begin;) end++;
        merge_target(c, &c->held[held++], wanted + i, end - i);
    }
    return OK;
}

/* Rows of the request that the file holds, by target; the others are flagged. */
static Status find_wanted(Wanted **out, int64_t *n_out, const Coadder *c, const CatalogRow *rows, int64_t n, Arena *a)
{
    TRY(arena_new(out, a, n));
    *n_out = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t begin = desi_find_target(c->target, c->n_file, rows[i].targetid);
        if (begin >= 0) (*out)[(*n_out)++] = (Wanted){begin, i};
        c->out->flag[c->at + i] = begin >= 0 ? 0 : SPECTRUM_NO_ROW;
    }
    if (*n_out > 1) qsort(*out, (size_t)*n_out, sizeof **out, compare_wanted);
    return OK;
}

/* All rows, a few targets at a time. */
static Status coadd_all(Coadder *c, const Wanted *wanted, int64_t n, Arena *a)
{
    for (int h = 0; h < HELD_TARGETS && h < n; h++)
        for (int b = 0; b < N_ARMS; b++) TRY(exposure_sum_new(&c->held[h].sum[b], c->arms->arm[b].n, a));
    for (int64_t first = 0, end; first < n; first = end) {
        int targets = 0;
        for (end = first; end < n; end++)
            if ((end == first || wanted[end].begin != wanted[end - 1].begin) && ++targets > HELD_TARGETS) break;
        Mark mark = arena_mark(a);
        Status st = coadd_targets(c, wanted + first, end - first, a);
        arena_reset(a, mark);
        TRY(st);
    }
    return OK;
}

Status exposures_read(SpectrumBatch *out, int64_t at, ArmFile *arms, int64_t *n_unreadable, FitsFile *f,
                      const SpectraConfig *options, const CatalogRow *rows, int64_t n, Arena *a)
{
    Coadder *c;
    DesiTarget *target;
    Wanted *wanted;
    int32_t *status;
    int64_t n_wanted;
    TRY(arena_new(&c, a, 1));
    *c = (Coadder){.out = out, .at = at, .options = options, .f = f, .arms = arms};
    TRY(desi_read_targets(&target, &c->n_file, f, a));
    TRY(exposures_read_status(&status, f, c->n_file, a));
    c->target = target;
    c->status = status;
    TRY(find_wanted(&wanted, &n_wanted, c, rows, n, a));
    TRY(arms_open(arms, f, c->n_file, c->n_file < ARM_ROWS ? c->n_file : ARM_ROWS, a));
    for (int64_t i = 0; i < n_wanted && !arms->on_grid; i++) out->flag[at + wanted[i].wanted] = SPECTRUM_BAD_GRID;
    if (arms->on_grid) TRY(coadd_all(c, wanted, n_wanted, a));
    *n_unreadable = c->n_unreadable;
    return OK;
}
