/* fit_supervised.c - networks that were trained for the properties themselves: what baselines.h5 holds is the prediction. */
#include <math.h>

#include "probe/fit.h"

static Status fit_nothing(ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    (void)fit, (void)n, (void)t, (void)a;
    return OK;
}

/* Local, without a sum over ranks to meet in. */
static Status copy_columns(RowPredictions *out, const ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    ProbeBlock b;
    TRY(probe_block_open(&b, t->rows, t->features, a));
    while (probe_block_next(&b))
        for (int f = 0; f < n; f++) {
            const int column = baselines_column(t->files->baselines, t->input->row->encoder, (Label)fit[f].label);
            for (int64_t i = 0; i < b.n && column >= 0; i++)
                if (t->usable[b.at + i]) out[f].value[b.at + i] = (double)b.x[i * t->input->dim + column];
        }
    return b.status;
}

static Status predict_supervised(RowPredictions *out, const ProbeFit *fit, int n, const ProbeTask *t, Arena *a)
{
    const Mark mark = arena_mark(a);
    TRY(par_agree(t->par, copy_columns(out, fit, n, t, a)));
    arena_reset(a, mark);
    return OK;
}

const ProbeKind supervised_probe = {"supervised", "a network trained for the property itself", fit_nothing,
                                    predict_supervised};
