/* mock_votes.c - what volunteers would say of the galaxies: a table as Galaxy Zoo DECaLS publishes it (Walmsley et al.
   2022, MNRAS 509, 3966; formats.md B12). Each question has probabilities that follow from the latent shape and from how
   well the seeing resolves it; only those who gave the answer that leads to a question are asked it. "debiased" is the
   fraction with the effect of the seeing taken out. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "data/mock_render.h"
#include "data/mock_table.h"
#include "io/artefact.h"

enum { MOST_ANSWERS = 6, VOLUNTEERS = 40, SPREAD = 16 };
#define VOTES_LIMIT 18.5 /* r magnitude; fainter galaxies were not shown */

typedef enum {
    Q_SMOOTH,
    Q_EDGE_ON,
    Q_ARMS,
    Q_BAR,
    Q_BULGE,
    Q_ROUNDED,
    Q_EDGE_BULGE,
    Q_WINDING,
    Q_ARM_COUNT,
    Q_MERGING,
    N_QUESTIONS
} Question;

/* after: the question before it and the answer to that which leads here; -1 = everyone is asked. */
static const struct {
    const char *name;
    const char *answer[MOST_ANSWERS + 1];
    int after, answered;
} questions[N_QUESTIONS] = {
    [Q_SMOOTH] = {"smooth-or-featured", {"smooth", "featured-or-disk", "artifact"}, -1, 0},
    [Q_EDGE_ON] = {"disk-edge-on", {"yes", "no"}, Q_SMOOTH, 1},
    [Q_ARMS] = {"has-spiral-arms", {"yes", "no"}, Q_EDGE_ON, 1},
    [Q_BAR] = {"bar", {"strong", "weak", "no"}, Q_EDGE_ON, 1},
    [Q_BULGE] = {"bulge-size", {"dominant", "large", "moderate", "small", "none"}, Q_EDGE_ON, 1},
    [Q_ROUNDED] = {"how-rounded", {"round", "in-between", "cigar-shaped"}, Q_SMOOTH, 0},
    [Q_EDGE_BULGE] = {"edge-on-bulge", {"boxy", "none", "rounded"}, Q_EDGE_ON, 0},
    [Q_WINDING] = {"spiral-winding", {"tight", "medium", "loose"}, Q_ARMS, 0},
    [Q_ARM_COUNT] = {"spiral-arm-count", {"1", "2", "3", "4", "more-than-4", "cant-tell"}, Q_ARMS, 0},
    [Q_MERGING] = {"merging", {"none", "minor-disturbance", "major-disturbance", "merger"}, -1, 0},
};

/* ---- what one volunteer says ---- */

typedef double Chances[N_QUESTIONS][MOST_ANSWERS];

/* Chances that fall with the distance of x from each answer's place. */
static void near_places(double *out, const double *place, int n, double x, double width)
{
    double sum = 0;
    for (int k = 0; k < n; k++) sum += out[k] = exp(-0.5 * (x - place[k]) * (x - place[k]) / (width * width)) + 0.01;
    for (int k = 0; k < n; k++) out[k] /= sum;
}

/* seen: 0 = a point, 1 = every detail shows. */
static void find_chances(Chances p, const MockObject *o, double seen)
{
    static const double bulges[] = {0.9, 0.6, 0.3, 0.12, 0}, round[] = {0.95, 0.6, 0.25}, pitch[] = {0.15, 0.32, 0.5};
    const double disk = o->bulge_fraction >= 1 ? 0 : 1 - o->bulge_fraction;
    const double detail = fmax(o->arm_strength, fmax(1.2 * o->bar_strength, o->edge_on ? 0.9 : o->merger ? 0.6 : 0.25));
    double featured = seen * disk * fmin(detail * 1.3, 0.97);
    memset(p, 0, sizeof(Chances));
    p[Q_SMOOTH][1] = 0.03 + 0.92 * featured;
    p[Q_SMOOTH][2] = 0.02;
    p[Q_SMOOTH][0] = 1 - p[Q_SMOOTH][1] - p[Q_SMOOTH][2];
    p[Q_EDGE_ON][0] = o->edge_on ? 0.55 + 0.4 * seen : 0.25 / (1 + exp((o->axis_ratio - 0.4) / 0.04)) + 0.02;
    p[Q_EDGE_ON][1] = 1 - p[Q_EDGE_ON][0];
    p[Q_ARMS][0] = o->arm_count > 0 ? 0.08 + 0.9 * seen * fmin(1.6 * o->arm_strength, 1) : 0.07;
    p[Q_ARMS][1] = 1 - p[Q_ARMS][0];
    p[Q_BAR][0] = 0.02 + 0.9 * seen * fmax(o->bar_strength - 0.15, 0) / 0.35;
    p[Q_BAR][1] = o->bar_strength > 0 ? (1 - p[Q_BAR][0]) * (0.15 + 0.6 * seen) : 0.1;
    p[Q_BAR][2] = 1 - p[Q_BAR][0] - p[Q_BAR][1];
    near_places(p[Q_BULGE], bulges, 5, o->bulge_fraction, 0.12 + 0.15 * (1 - seen));
    near_places(p[Q_ROUNDED], round, 3, o->axis_ratio + (1 - seen) * 0.3 * (1 - o->axis_ratio), 0.17);
    p[Q_EDGE_BULGE][0] = 0.05;
    p[Q_EDGE_BULGE][1] = fmin(fmax(0.95 - 4 * o->bulge_fraction * seen, 0.05), 0.9);
    p[Q_EDGE_BULGE][2] = 0.95 - p[Q_EDGE_BULGE][1];
    near_places(p[Q_WINDING], pitch, 3, o->arm_count > 0 ? o->arm_winding : 0.3, 0.09 + 0.1 * (1 - seen));
    for (int k = 0; k < 6; k++) p[Q_ARM_COUNT][k] = 0.03 + (k == 5 ? 0.1 + 0.5 * (1 - seen) : 0);
    if (o->arm_count > 0) p[Q_ARM_COUNT][o->arm_count > 4 ? 4 : o->arm_count - 1] += 0.2 + 0.7 * seen;
    p[Q_MERGING][3] = o->merger ? 0.5 + 0.35 * seen : 0.02;
    p[Q_MERGING][2] = o->merger ? 0.1 : 0.02;
    p[Q_MERGING][1] = o->merger ? 0.1 : 0.05;
    p[Q_MERGING][0] = 1 - p[Q_MERGING][1] - p[Q_MERGING][2] - p[Q_MERGING][3];
    for (int q = 0; q < N_QUESTIONS; q++) {
        double sum = 0;
        for (int k = 0; k < MOST_ANSWERS; k++) sum += p[q][k];
        for (int k = 0; k < MOST_ANSWERS; k++) p[q][k] /= sum;
    }
}

/* ---- all of them ---- */

typedef int64_t Votes[N_QUESTIONS][MOST_ANSWERS];

static int64_t total(const Votes v, int question)
{
    int64_t sum = 0;
    for (int k = 0; k < MOST_ANSWERS; k++) sum += v[question][k];
    return sum;
}

/* Questions come after the one that leads to them; nobody who saw an artifact is asked of merging. */
static void draw_votes(Votes v, Chances p, Rng *r)
{
    memset(v, 0, sizeof(Votes));
    const int64_t people = VOLUNTEERS - SPREAD + rng_below(r, 2 * SPREAD + 1);
    for (int q = 0; q < N_QUESTIONS; q++) {
        int64_t n = questions[q].after < 0 ? people : v[questions[q].after][questions[q].answered];
        if (q == Q_MERGING) n -= v[Q_SMOOTH][2];
        for (int64_t i = 0; i < n; i++) {
            double u = rng_uniform(r);
            int k = 0;
            while (k < MOST_ANSWERS - 1 && questions[q].answer[k + 1] && u >= p[q][k]) u -= p[q][k++];
            v[q][k]++;
        }
    }
}

/* Jhhmmss.ss+ddmmss.s, cut and not rounded, as the IAU asks. */
static void put_name(FILE *f, double ra, double dec)
{
    const int64_t second = (int64_t)floor(fmod(ra + 360, 360) / 15 * 360000),
                  arcsec = (int64_t)floor(fabs(dec) * 36000);
    fprintf(f, "J%02lld%02lld%02lld.%02lld%c%02lld%02lld%02lld.%lld", (long long)(second / 360000),
            (long long)(second / 6000 % 60), (long long)(second / 100 % 60), (long long)(second % 100),
            dec < 0 ? '-' : '+', (long long)(arcsec / 36000), (long long)(arcsec / 600 % 60),
            (long long)(arcsec / 10 % 60), (long long)(arcsec % 10));
}

static void put_row(FILE *f, const MockObject *o, const Votes v, Chances seen, Chances sharp)
{
    put_name(f, o->ra, o->dec);
    fprintf(f, ",%.8f,%.8f,%.5f", o->ra, o->dec, o->z);
    for (int q = 0; q < N_QUESTIONS; q++) {
        const int64_t n = total(v, q);
        double sum = 0;
        for (int k = 0; questions[q].answer[k]; k++) sum += (double)v[q][k] * sharp[q][k] / seen[q][k];
        fprintf(f, ",%lld", (long long)n);
        for (int k = 0; questions[q].answer[k]; k++) {
            fprintf(f, ",%lld", (long long)v[q][k]);
            if (n > 0)
                fprintf(f, ",%.4f,%.4f", (double)v[q][k] / (double)n, (double)v[q][k] * sharp[q][k] / seen[q][k] / sum);
            else
                fputs(",,", f); /* nobody was asked */
        }
    }
    fputc('\n', f);
}

static void put_header(FILE *f)
{
    fputs("iauname,ra,dec,redshift", f);
    for (int q = 0; q < N_QUESTIONS; q++) {
        const char *name = questions[q].name;
        fprintf(f, ",%s_total-votes", name);
        for (int k = 0; questions[q].answer[k]; k++) {
            const char *answer = questions[q].answer[k];
            fprintf(f, ",%s_%s,%s_%s_fraction,%s_%s_debiased", name, answer, name, answer, name, answer);
        }
    }
    fputc('\n', f);
}

/* A disk of three times the seeing's width shows all. */
static double resolution(const MockSky *sky, const MockObject *o)
{
    MockSeeing seeing;
    mock_seeing(&seeing, sky, &o->brick, 1);
    double t = o->radius / (1.5 * seeing.fwhm);
    return t * t / (1 + t * t);
}

/* ---- the file ---- */

typedef struct {
    MockList list;
    FILE *f;
    const char *path;
    char part[FITS_PATH];
} Ballot;

static Status add_objects(MockList *list, const MockSky *sky, const MockObject *object, int64_t n, Arena *a)
{
    Ballot *b = (Ballot *)list;
    (void)a;
    for (int64_t i = 0; i < n; i++) {
        const MockObject *o = &object[i];
        if (o->defect == MOCK_SKY || o->targetid < 0 || 22.5 - 2.5 * log10(o->flux[1]) > VOTES_LIMIT) continue;
        Rng r = rng_stream(sky->seed, "mock.votes", o->number, 0);
        Chances seen, sharp;
        Votes v;
        find_chances(seen, o, resolution(sky, o));
        find_chances(sharp, o, 1);
        draw_votes(v, seen, &r);
        put_row(b->f, o, v, seen, sharp);
    }
    return ferror(b->f) ? FAIL(E_OUTPUT, "%s: cannot be written; is the disk full?", b->part) : OK;
}

static Status end_file(MockList *list, const MockSky *sky, bool good, Arena *a)
{
    Ballot *b = (Ballot *)list;
    (void)sky;
    (void)a;
    if (!b->f) return OK;
    if (fclose(b->f) != 0 && good) return FAIL(E_OUTPUT, "cannot write %s: %s", b->part, strerror(errno));
    return good ? artefact_publish(&par_alone, b->path) : OK;
}

Status mock_votes_begin(MockList **out, const MockSky *sky, const char *path, Arena *a)
{
    Ballot *b;
    (void)sky;
    TRY(arena_new(&b, a, 1));
    *b = (Ballot){.list = {add_objects, end_file}, .path = path};
    *out = &b->list;
    TRY(artefact_make_folder_of(&par_alone, path));
    if (snprintf(b->part, sizeof b->part, "%s.part", path) >= (int)sizeof b->part)
        return FAIL(E_CONFIG, "%s: the path is too long", path);
    b->f = fopen(b->part, "w");
    if (!b->f) return FAIL(E_OUTPUT, "cannot write %s: %s", b->part, strerror(errno));
    put_header(b->f);
    return OK;
}
