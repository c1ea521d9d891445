/* report_training.c - learning curves. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tables/plot.h"
#include "tables/report.h"

static const struct {
    const char *folder, *name, *title;
} trainings[] = {{"train_spectrum", "train_spectrum", "Masked modelling of spectra"},
                 {"train_image", "train_image", "Self-distillation of images"},
                 {"train_moco", "train_moco", "Momentum contrast of images"},
                 {"align", "align", "Alignment of images and spectra"},
                 {"baselines/resnet18", "resnet18", "Baseline: ResNet18, images to properties"},
                 {"baselines/conv_att", "conv_att", "Baseline: convolutions and attention, spectra to properties"}};
enum { N_TRAININGS = sizeof trainings / sizeof *trainings };

static bool has_curve(const Report *r, int i)
{
    char name[64];
    snprintf(name, sizeof name, "%s/metrics.csv", trainings[i].folder);
    return report_has(r, name);
}

static bool applies(const Report *r)
{
    bool any = false;
    for (int i = 0; i < N_TRAININGS; i++) any = any || has_curve(r, i);
    return any;
}

enum { VAL_COLUMN = 5 }; /* of step,epoch,loss,grad_norm,lr,val_loss, and what a training has besides */

static bool is_validated(const char *line)
{
    for (int i = 0; line && i < VAL_COLUMN; i++) line = (line = strchr(line, ',')) ? line + 1 : NULL;
    return line && *line && *line != ',';
}

/* The columns that another machine writes too: all but the last, the seconds. *has_val: some step was validated. */
static Status copy_curve(bool *has_val, const Page *p, const Report *r, int i)
{
    const char *plot = trainings[i].name;
    char *path, line[512], name[64];
    FILE *out = NULL, *f;
    Status st = OK;
    snprintf(name, sizeof name, "%s/metrics.csv", trainings[i].folder);
    TRY(report_path(&path, r, name));
    f = fopen(path, "r");
    *has_val = false;
    while (st == OK && f && fgets(line, sizeof line, f)) {
        char *last = strrchr(line, ',');
        if (!last) continue;
        *last = 0;
        if (!out) {
            st = plot_data(&out, p, plot, line);
            continue;
        }
        *has_val = *has_val || is_validated(line);
        fprintf(out, "%s\n", line);
    }
    if (f) fclose(f);
    if (st == OK && !out) st = plot_data(&out, p, plot, "step,epoch,loss,grad_norm,lr,val_loss");
    return st == OK ? plot_data_end(out, p, plot) : st;
}

static Status write_curve(Page *p, const Report *r, int i)
{
    const char *name = trainings[i].name;
    char commands[1024], caption[256], alt[256];
    bool has_val;
    TRY(copy_curve(&has_val, p, r, i));
    snprintf(commands, sizeof commands,
             "set xlabel 'step'\nset ylabel 'loss'\nset yrange [0:*]\n"
             "plot '%s.csv' skip 1 using 1:3 with lines lc rgb '#7fa3cf' title 'training'%s%s%s",
             name, has_val ? ", '" : "", has_val ? name : "",
             has_val ? ".csv' skip 1 using 1:6 with linespoints pt 7 ps 0.6 lw 2 lc rgb '#b3402a' title 'validation'"
                     : "");
    snprintf(caption, sizeof caption, "%s: loss by step.", trainings[i].title);
    snprintf(alt, sizeof alt, "Loss of the training %s against the step%s", name,
             has_val ? ", on training and validation objects" : "");
    return plot_draw(p, name, name, PLOT_WIDTH, commands, caption, alt);
}

/* What else a training tells of a step: figures of further columns of its curve. */
static const struct {
    const char *training, *name, *caption, *alt, *commands;
} figures[] = {{"train_image", "train_image-terms", "Self-distillation of images: parts of the loss by step.",
                "Losses of local and global crops, of hidden patches and of the spread of a batch against the step",
                "set ylabel 'part of the loss'\n"
                "plot 'train_image.csv' skip 1 using 1:7 with lines lc rgb '#7fa3cf' title 'DINO, local crops',"
                " '' skip 1 using 1:8 with lines lc rgb '#2c5f8a' title 'DINO, global crops',"
                " '' skip 1 using 1:10 with lines lc rgb '#b3402a' title 'iBOT',"
                " '' skip 1 using 1:9 with lines lc rgb '#8a8f98' title 'KoLeo'"},
               {"train_image", "train_image-collapse",
                "Self-distillation of images: entropy of the teacher's mean prediction, directions that its features "
                "fill. Both fall where it "
                "collapses.",
                "Entropy of the mean prediction and rank of the features against the step",
                "set ylabel 'entropy of the mean prediction'\nset y2label 'directions of the features'\nset yrange "
                "[0:*]\nset y2range [0:*]\n"
                "set border 11\nset y2tics\n"
                "plot 'train_image.csv' skip 1 using 1:11 with lines lc rgb '#2c5f8a' title 'entropy',"
                " '' skip 1 using 1:12 axes x1y2 with lines lc rgb '#b3402a' title 'directions (right)'"}};

static Status write_figures(Page *p, const char *training)
{
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        char commands[1024];
        if (strcmp(figures[i].training, training) != 0) continue;
        snprintf(commands, sizeof commands, "set xlabel 'step'\n%s", figures[i].commands);
        TRY(plot_draw(p, figures[i].name, training, PLOT_WIDTH, commands, figures[i].caption, figures[i].alt));
    }
    return OK;
}

static Status write(Page *p, const Report *r)
{
    page_gallery(p);
    for (int i = 0; i < N_TRAININGS; i++) {
        if (!has_curve(r, i)) continue;
        TRY(write_curve(p, r, i));
        TRY(write_figures(p, trainings[i].name));
    }
    page_gallery_end(p);
    if (report_has(r, "retrieval.csv")) {
        page_text(p,
                  "Retrieval among n objects of the test split: how often the partner of a query in the other modality "
                  "is the nearest or among the ten nearest; by chance 1 / n and 10 / n.");
        TRY(report_csv(p, r, "retrieval.csv", "retrieval.csv", 100));
    }
    return OK;
}

const ReportSection report_training = {"Trainings", applies, write};
