/* report_coverage.c - do intervals hold what they promise: shares of truths within them, and where in the predicted distributions
   truths lie (coverage.csv, pit.csv). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tables/csv.h"
#include "tables/plot.h"
#include "tables/report.h"

static bool applies(const Report *r) { return report_has(r, "coverage.csv"); }

static bool is_ours(const Csv *c)
{
    return csv_is(c, "encoder", "astroclip") &&
           (csv_is(c, "modality", "image") || csv_is(c, "modality", "spectrum") || csv_is(c, "modality", "both"));
}

/* Of all magnitudes together, the lines without borders, and of the first probe: the CSV files of the run have the others. */
static Status show_coverage(Page *p, const Report *r)
{
    char *path, probe[32] = "";
    Csv c;
    FILE *f;
    TRY(report_path(&path, r, "coverage.csv"));
    if (!csv_open(&c, path)) return FAIL(E_INPUT, "%s cannot be read", path);
    Status st = plot_data(&f, p, "coverage", "name,coverage68,coverage95,n");
    if (st == OK) {
        page_table(p, "Share of the test objects' truths within the published intervals",
                   "property\tmodality\tprobe\tobjects\twithin 68 %\twithin 95 %\twidth of 68 %\tKS of PIT");
        while (csv_next(&c)) {
            if (!is_ours(&c) || *csv_text(&c, "mag_low") || *csv_text(&c, "mag_high")) continue;
            if (!probe[0]) snprintf(probe, sizeof probe, "%.31s", csv_text(&c, "probe"));
            if (!csv_is(&c, "probe", probe)) continue;
            page_row(p, "%s\t%s\t%s\t%s\t%.3f\t%.3f\t%.3g\t%.3f", csv_text(&c, "property"), csv_text(&c, "modality"),
                     csv_text(&c, "probe"), csv_text(&c, "n"), csv_number(&c, "coverage68"),
                     csv_number(&c, "coverage95"), csv_number(&c, "width68"), csv_number(&c, "ks"));
            fprintf(f, "%s %s,%s,%s,%s\n", csv_text(&c, "property"), csv_text(&c, "modality"),
                    csv_text(&c, "coverage68"), csv_text(&c, "coverage95"), csv_text(&c, "n"));
        }
        page_table_end(p);
        st = plot_data_end(f, p, "coverage");
    }
    csv_close(&c);
    TRY(st);
    return plot_draw(p, "coverage", "coverage", PLOT_WIDE,
                     "set yrange [0.4:1.02]\nset ylabel 'share within'\nset xtics rotate by -40 noenhanced font "
                     "',10'\nset rmargin 12\n"
                     "plot 0.6827 with lines lc rgb '#5b6570' dt 2 title 'nominal', 0.9545 with lines lc rgb '#5b6570' "
                     "dt 2 notitle, "
                     "'coverage.csv' skip 1 using 0:2:xtic(1) with points pt 7 lc rgb '#2f6db3' title '68 %', "
                     "'' skip 1 using 0:3 with points pt 7 lc rgb '#e0902a' title '95 %'",
                     "Coverage of the intervals.",
                     "Points: share of truths within the 68 and 95 % intervals, by property, modality and probe");
}

enum { MOST_LINES = 4, NAME = 64 };

/* PIT of redshifts by the first probe: a histogram per modality, as densities. */
static Status show_pit(Page *p, const Report *r)
{
    char *path, name[MOST_LINES][NAME], commands[1024], probe[32] = "";
    double low[64], count[MOST_LINES][64] = {{0}}, total[MOST_LINES] = {0};
    int lines = 0, bins = 0;
    Csv c;
    FILE *f;
    if (!report_has(r, "pit.csv")) return OK;
    TRY(report_path(&path, r, "pit.csv"));
    if (!csv_open(&c, path)) return OK;
    while (csv_next(&c)) {
        char one[NAME];
        if (!is_ours(&c) || !csv_is(&c, "property", "z")) continue;
        if (!probe[0]) snprintf(probe, sizeof probe, "%.31s", csv_text(&c, "probe"));
        if (!csv_is(&c, "probe", probe)) continue;
        snprintf(one, sizeof one, "%.30s %.30s", csv_text(&c, "modality"), csv_text(&c, "probe"));
        int k = 0, b = 0;
        while (k < lines && strcmp(name[k], one) != 0) k++;
        if (k == MOST_LINES) break;
        if (k == lines) snprintf(name[lines++], NAME, "%s", one);
        while (b < bins && low[b] != csv_number(&c, "pit_low")) b++;
        if (b == 64) continue;
        if (b == bins) low[bins++] = csv_number(&c, "pit_low");
        count[k][b] = csv_number(&c, "n");
        total[k] += count[k][b];
    }
    csv_close(&c);
    if (lines == 0 || bins == 0) return OK;
    char head[8 + MOST_LINES * NAME] = "pit_low";
    for (int k = 0; k < lines; k++) snprintf(head + strlen(head), NAME, ",%.62s", name[k]);
    TRY(plot_data(&f, p, "pit", head));
    for (int b = 0; b <= bins; b++) { /* the last one again, at its end */
        const int at = b < bins ? b : bins - 1;
        fprintf(f, "%.3f", b < bins ? low[b] : 1);
        for (int k = 0; k < lines; k++) fprintf(f, ",%.4f", total[k] > 0 ? count[k][at] / total[k] * bins : 0);
        fputc('\n', f);
    }
    TRY(plot_data_end(f, p, "pit"));
    snprintf(commands, sizeof commands,
             "set xlabel 'place of the truth in the predicted distribution'\nset ylabel 'density'\nset xrange "
             "[0:1]\nset yrange [0:*]\n"
             "set key noenhanced\nplot for [k=2:%d] 'pit.csv' using 1:k with steps lw 2 title columnheader(k), 1 with "
             "lines lc rgb "
             "'#5b6570' dt 2 title 'calibrated'",
             lines + 1);
    return plot_draw(p, "pit", "pit", PLOT_WIDTH, commands,
                     "Probability integral transform of redshifts: flat where calibrated.",
                     "Histogram of the places of true redshifts in their predicted distributions");
}

static Status write(Page *p, const Report *r)
{
    TRY(show_coverage(p, r));
    return show_pit(p, r);
}

const ReportSection report_coverage = {"Calibration", applies, write};
