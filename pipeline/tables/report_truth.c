/* report_truth.c - the relations between the properties of a mock sky's galaxies, as they were drawn (data/mock.h). */
#include <inttypes.h>
#include <math.h>

#include "data/mock.h"
#include "tables/plot.h"
#include "tables/report.h"

enum { MOST = 4000, BINS = 40 }; /* galaxies in a plot; of the histograms */

/* Columns of TRUTH that are read, in the order of relations.csv; what is computed comes behind them. */
enum { Z, LOGMSTAR, AGE, LOGZMW, LOGSSFR, SHAPE_R, FLUX_G, FLUX_R, FLUX_Z, BULGE, QUIESCENT, LOG_OH, N_READ };
static const char *const column[N_READ] = {"Z",      "LOGMSTAR", "AGE",    "LOGZMW",         "LOGSSFR",   "SHAPE_R",
                                           "FLUX_G", "FLUX_R",   "FLUX_Z", "BULGE_FRACTION", "QUIESCENT", "LOG_OH"};
static const char head[] = "z,logmstar,age,log_metallicity,log_ssfr,shape_r,flux_g,flux_r,flux_z,bulge_fraction,"
                           "quiescent,log_oh,g_minus_r,radius_kpc,r_mag";

static bool applies(const Report *r) { return report_has(r, r->truth); }

/* A point for each of at most MOST galaxies, evenly through the table. */
static Status write_points(const Page *p, const double *value[N_READ], int64_t n)
{
    FILE *f;
    TRY(plot_data(&f, p, "relations", head));
    for (int64_t k = 0; k < n && k < MOST; k++) {
        const int64_t i = n > MOST ? k * n / MOST : k;
        const double z = value[Z][i], angular = mock_distance(z) / ((1 + z) * (1 + z)); /* Mpc */
        for (int c = 0; c < N_READ; c++) fprintf(f, "%.5g,", value[c][i]);
        fprintf(f, "%.5g,%.5g,%.5g\n", -2.5 * log10(value[FLUX_G][i] / value[FLUX_R][i]),
                value[SHAPE_R][i] * angular * 1000 * M_PI / 648000, 22.5 - 2.5 * log10(value[FLUX_R][i]));
    }
    return plot_data_end(f, p, "relations");
}

/* Counts of quiescent and star-forming galaxies by redshift and by colour. */
static Status write_histogram(const Page *p, const double *value[N_READ], int64_t n, const char *name, bool colour)
{
    const double low = 0, high = colour ? 2.4 : 0.8;
    int64_t count[2][BINS] = {{0}};
    FILE *f;
    for (int64_t i = 0; i < n; i++) {
        const double x = colour ? -2.5 * log10(value[FLUX_G][i] / value[FLUX_R][i]) : value[Z][i];
        const double bin = (x - low) / (high - low) * BINS;
        if (bin >= 0 && bin < BINS) count[value[QUIESCENT][i] != 0][(int)bin]++;
    }
    TRY(plot_data(&f, p, name, "middle,star_forming,quiescent"));
    for (int b = 0; b < BINS; b++)
        fprintf(f, "%.4f,%" PRId64 ",%" PRId64 "\n", low + (b + 0.5) * (high - low) / BINS, count[0][b], count[1][b]);
    return plot_data_end(f, p, name);
}

static const struct {
    const char *name, *x, *y, *caption, *more;
    int at_x, at_y; /* columns of relations.csv, from 1 */
} relations[] = {
    {"main-sequence", "log_{10} M_*/M_{/*0.8 sun}", "log_{10} sSFR / yr^{-1}", "Star formation against mass", "", 2, 5},
    {"mass-metallicity", "log_{10} M_*/M_{/*0.8 sun}", "12 + log_{10} O/H of the gas", "The mass-metallicity relation",
     "", 2, 12},
    {"age-mass", "log_{10} M_*/M_{/*0.8 sun}", "mass-weighted age (Gyr)", "Age against mass", "", 2, 3},
    {"size-mass", "log_{10} M_*/M_{/*0.8 sun}", "half-light radius (kpc)", "The size-mass relation", "set logscale y\n",
     2, 14},
    {"colour-redshift", "redshift", "g - r", "Observed colour against redshift", "set yrange [-0.2:2.4]\n", 1, 13},
    {"colour-mass", "log_{10} M_*/M_{/*0.8 sun}", "g - r", "Observed colour against mass", "set yrange [-0.2:2.4]\n", 2,
     13},
    {"bulge-ssfr", "log_{10} sSFR / yr^{-1}", "bulge fraction of the r light", "Morphology against star formation", "",
     5, 10},
};

static Status draw_relations(Page *p)
{
    for (size_t i = 0; i < sizeof relations / sizeof *relations; i++) {
        char commands[1024], alt[200];
        snprintf(
            commands, sizeof commands,
            "set xlabel '%s'\nset ylabel '%s'\n%s"
            "plot 'relations.csv' skip 1 using ($11 == 0 ? $%d : NaN):%d with points pt 7 ps 0.35 lc rgb '#2f6db3' "
            "title 'star-forming', '' skip 1 using ($11 == 1 ? $%d : NaN):%d with points pt 7 ps 0.35 lc rgb "
            "'#b3402a' title 'quiescent'",
            relations[i].x, relations[i].y, relations[i].more, relations[i].at_x, relations[i].at_y, relations[i].at_x,
            relations[i].at_y);
        snprintf(alt, sizeof alt, "%s: scatter plot, star-forming and quiescent galaxies in two colours",
                 relations[i].caption);
        TRY(plot_draw(p, relations[i].name, "relations", PLOT_WIDTH, commands, relations[i].caption, alt));
    }
    return OK;
}

static Status draw_histogram(Page *p, const char *name, const char *x, const char *caption)
{
    char commands[1024];
    snprintf(commands, sizeof commands,
             "set xlabel '%s'\nset ylabel 'galaxies'\nset style fill solid 1 border rgb '#ffffff'\n"
             "plot '%s.csv' skip 1 using 1:($2+$3) with boxes lc rgb '#c8654f' title 'quiescent', "
             "'' skip 1 using 1:2 with boxes lc rgb '#5b8fc9' title 'star-forming'",
             x, name);
    return plot_draw(p, name, name, PLOT_WIDTH, commands, caption, caption);
}

static Status write(Page *p, const Report *r)
{
    FitsFile f = {0};
    FitsPick pick[N_READ];
    const double *value[N_READ];
    char *path;
    int64_t n = 0;
    Status st = OK;
    TRY(report_path(&path, r, r->truth));
    TRY_DONE(fitsfile_open(&f, path));
    TRY_DONE(fitsfile_goto(&f, "TRUTH"));
    TRY_DONE(fitsfile_rows(&n, &f));
    for (int c = 0; c < N_READ; c++) {
        double *out = NULL;
        TRY_DONE(arena_new(&out, r->arena, n));
        pick[c] = (FitsPick){.name = column[c], .type = FITS_F64, .out = out};
        value[c] = out;
    }
    TRY_DONE(fitsfile_read_picks(pick, N_READ, &f, 0, n, r->arena));
    page_text(p, "A mock sky of %" PRId64 " galaxies: nothing here was observed.", n);
    TRY_DONE(write_points(p, value, n));
    TRY_DONE(write_histogram(p, value, n, "redshifts", false));
    TRY_DONE(write_histogram(p, value, n, "colours", true));
    page_gallery(p);
    TRY_DONE(draw_histogram(p, "redshifts", "redshift", "Redshifts"));
    TRY_DONE(draw_histogram(p, "colours", "g - r", "Observed colours"));
    TRY_DONE(draw_relations(p));
    page_gallery_end(p);
done:
    fitsfile_close(&f);
    return st;
}

const ReportSection report_truth = {"The mock sky", applies, write};
