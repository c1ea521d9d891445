/* mock_labels.c - physical properties of the mock galaxies as PROVABGS publishes them (formats.md B9): a compound
   dataset in HDF5 as astropy writes it, with the best parameters and draws of the posterior.

   A label is not the truth: it is what a fit makes of it. How far off, is our choice: about as much as probes of published
   embeddings leave unexplained; most for the star formation of galaxies that form no stars. The draws scatter around
   the fit by the same uncertainty. */
#include <math.h>
#include <stdio.h>

#include "core/rng.h"
#include "data/mock_table.h"
#include "io/artefact.h"

/* Parameters of PROVABGS: log mass formed, four shares of the star formation history, burst share and time (Gyr ago),
   log of two metallicities, optical depths of the birth clouds and of all, slope of the dust, share of the fibre. */
enum { N_THETA = 13, N_DRAWS = 100 };

/* Where galaxies are many, the draws (10 kB each) are left out. */
enum { MOST_WITH_DRAWS = 20000 };

typedef enum { LOGMASS, AGE, LOGZ, LOGSFR, N_FITTED = MOCK_FITTED } Fitted;

static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

void mock_fit_errors(double sigma[N_FITTED], const MockObject *o)
{
    sigma[LOGMASS] = 0.22;
    sigma[AGE] = 0.12 * o->age;
    sigma[LOGZ] = 0.12;
    sigma[LOGSFR] = o->quiescent ? 0.55 : 0.12;
}

/* Parameters that belong to properties. Of the four parts of the star formation history the first is early, the last
   recent: the shares of a binomial whose mean is the mean time of formation. The formed mass is the surviving one over
   0.6 (Chabrier initial mass function, old stars). */
static void theta_of(double theta[N_THETA], const double fitted[N_FITTED], const MockObject *o)
{
    double late = clip(1 - fitted[AGE] / mock_universe_age(o->z), 0.02, 0.98), early = 1 - late;
    double log_ssfr = fitted[LOGSFR] - fitted[LOGMASS], z_sun = fitted[LOGZ];
    const double values[N_THETA] = {
        fitted[LOGMASS] + 0.22,
        early * early * early,
        3 * early * early * late,
        3 * early * late * late,
        late * late * late,
        clip(o->merger ? 0.1 : 0.01, 0, 1),
        clip(0.4 * fitted[AGE], 0.01, 13.27),
        clip(z_sun, -4.35, -1.35),
        clip(z_sun + 0.05, -4.35, -1.35),
        clip(o->dust / MOCK_DUST_SHARE * (1 / (1 + exp(-2 * (log_ssfr + 11)))), 0, 3),
        clip(o->dust, 0, 3),
        -0.7,
        clip(mock_fibre_share(o), 0.02, 1),
    };
    for (int i = 0; i < N_THETA; i++) theta[i] = values[i];
}

/* A fit, or one draw of its posterior: each property off by its sigma. */
static void scatter(double out[N_FITTED], const double around[N_FITTED], const double sigma[N_FITTED], Rng *r)
{
    for (int i = 0; i < N_FITTED; i++) out[i] = around[i] + sigma[i] * rng_normal(r);
    out[AGE] = clip(out[AGE], 0.1, 13.5);
    out[LOGZ] = clip(out[LOGZ], -4.35, -1.35);
}

enum { RA, DEC, Z_HP, ZERR, MAG_G, MAG_R, MAG_Z, LOGMSTAR_BF, TAGE_MW, Z_MW, AVG_SFR, N_VALUES };
static const char *const names[N_VALUES] = {"RA",      "DEC",   "Z_HP",   "ZERR",
                                            "MAG_G",   "MAG_R", "MAG_Z",  "PROVABGS_LOGMSTAR_BF",
                                            "TAGE_MW", "Z_MW",  "AVG_SFR"};

typedef struct {
    int64_t n, *id;
    double *value[N_VALUES];
    double *best, *draws; /* (n, N_THETA), (n, N_DRAWS, N_THETA); draws may be NULL */
} Table;

static void add_row(Table *t, const MockObject *o, Rng *r)
{
    double sigma[N_FITTED], fit[N_FITTED], draw[N_FITTED];
    const double truth[N_FITTED] = {o->logmstar, o->age, o->logz, o->logssfr + o->logmstar};
    int64_t row = t->n++;
    mock_fit_errors(sigma, o);
    scatter(fit, truth, sigma, r);
    t->id[row] = o->targetid;
    t->value[RA][row] = o->ra;
    t->value[DEC][row] = o->dec;
    t->value[Z_HP][row] = o->z;
    t->value[ZERR][row] = 3e-5 * (1 + o->z);
    for (int b = 0; b < N_BANDS; b++) t->value[MAG_G + b][row] = 22.5 - 2.5 * log10(o->flux[b]);
    t->value[LOGMSTAR_BF][row] = fit[LOGMASS];
    t->value[TAGE_MW][row] = fit[AGE];
    t->value[Z_MW][row] = pow(10, fit[LOGZ]);
    t->value[AVG_SFR][row] = pow(10, fit[LOGSFR]);
    theta_of(t->best + row * N_THETA, fit, o);
    for (int64_t d = 0; t->draws && d < N_DRAWS; d++) {
        scatter(draw, fit, sigma, r);
        theta_of(t->draws + (row * N_DRAWS + d) * N_THETA, draw, o);
    }
}

/* ---- the file ---- */

static const char dataset[] = "__astropy_table__";

typedef struct {
    MockList list;
    H5File f;
    const char *path;
    int64_t rows;
    bool draws;
} Labels;

/* Nine of ten galaxies are in the catalogue. */
static bool starts_row(Rng *r, const MockSky *sky, const MockObject *o)
{
    *r = rng_stream(sky->seed, "mock.labels", o->number, 0);
    return o->targetid >= 0 && o->defect != MOCK_SKY && rng_uniform(r) >= 0.1;
}

bool mock_is_labelled(const MockSky *sky, const MockObject *o)
{
    Rng r;
    return starts_row(&r, sky, o);
}

/* The members of the table; returns how many. */
static int members_of(H5Member member[N_VALUES + 3], const Table *t, bool draws)
{
    member[0] = (H5Member){"TARGETID", H5_I64, 0, 1, t->id};
    for (int c = 0; c < N_VALUES; c++) member[c + 1] = (H5Member){names[c], H5_F64, 0, 1, t->value[c]};
    member[N_VALUES + 1] = (H5Member){"PROVABGS_THETA_BF", H5_F64, 0, N_THETA, t->best};
    member[N_VALUES + 2] = (H5Member){"PROVABGS_MCMC", H5_F64, N_THETA, N_DRAWS * N_THETA, t->draws};
    return N_VALUES + (draws ? 3 : 2);
}

static Status add_objects(MockList *list, const MockSky *sky, const MockObject *object, int64_t n, Arena *a)
{
    Labels *l = (Labels *)list;
    Table t = {0};
    H5Member member[N_VALUES + 3];
    Rng r;
    TRY(arena_new(&t.id, a, n));
    for (int c = 0; c < N_VALUES; c++) TRY(arena_new(&t.value[c], a, n));
    TRY(arena_new(&t.best, a, n * N_THETA));
    if (l->draws) TRY(arena_new(&t.draws, a, n * N_DRAWS * N_THETA));
    for (int64_t i = 0; i < n; i++)
        if (starts_row(&r, sky, &object[i])) add_row(&t, &object[i], &r);
    if (t.n > 0) TRY(h5_put_members(&l->f, dataset, member, members_of(member, &t, l->draws), l->rows, t.n));
    l->rows += t.n;
    return OK;
}

static Status end_file(MockList *list, const MockSky *sky, bool good, Arena *a)
{
    Labels *l = (Labels *)list;
    (void)a;
    MUST(!good || l->rows == sky->n_labels);
    Status st = h5_close(&l->f);
    return good && st == OK ? artefact_publish(&par_alone, l->path) : good ? st : OK;
}

Status mock_labels_begin(MockList **out, const MockSky *sky, const char *path, Arena *a)
{
    Labels *l;
    char part[H5_PATH];
    Table none = {0};
    H5Member member[N_VALUES + 3];
    TRY(arena_new(&l, a, 1));
    *l = (Labels){.list = {add_objects, end_file}, .path = path, .draws = sky->n <= MOST_WITH_DRAWS};
    *out = &l->list;
    TRY(artefact_make_folder_of(&par_alone, path));
    snprintf(part, sizeof part, "%s.part", path);
    TRY(h5_create(&l->f, part, NULL));
    return h5_new_compound(&l->f, dataset, member, members_of(member, &none, l->draws), sky->n_labels);
}
