/* groups.c - properties that the same train rows have are learnt together; how their labels lie. */
#include <math.h>

#include "probe/fit.h"

bool probe_trains(const ProbeTask *t, int label, int64_t row)
{
    return t->usable[row] && t->rows->split[row] == SPLIT_TRAIN && isfinite(t->rows->label[label][row]);
}

/* Collective. differs[i * n + j]: train rows that one of two fits can use and the other cannot. */
static void compare_rows(int64_t *differs, const ProbeFit *fit, int n, const ProbeTask *t)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            for (int64_t r = 0; r < t->rows->n; r++)
                differs[i * n + j] += probe_trains(t, fit[i].label, r) != probe_trains(t, fit[j].label, r);
    par_sum_i64(t->par, differs, (int64_t)n * n);
}

int probe_groups(ProbeGroup group[N_LABELS], ProbeFit *fit, int n, const ProbeTask *t)
{
    int64_t differs[N_LABELS * N_LABELS] = {0};
    int n_groups = 0, first[N_LABELS];
    MUST(n <= N_LABELS);
    compare_rows(differs, fit, n, t);
    for (int i = 0; i < n; i++) {
        int g = 0;
        while (g < n_groups && differs[i * n + first[g]] != 0) g++;
        if (g == n_groups) {
            first[n_groups] = i;
            group[n_groups++].n = 0;
        }
        group[g].fit[group[g].n++] = &fit[i];
    }
    return n_groups;
}

/* Collective. sum over train rows of (y - centre)^power, and how many there are. */
static Status sum_labels(double sum[2], int label, double centre, int power, const ProbeTask *t, Arena *scratch)
{
    const ProbeRows *r = t->rows;
    const Mark mark = arena_mark(scratch);
    TreeSum tree;
    TRY(par_agree(t->par, treesum_init(&tree, 2, r->n_blocks, scratch)));
    for (int64_t block = r->first_block; block < r->last_block; block++) {
        const int64_t at = block * r->block_rows - r->first,
                      end = at + r->block_rows < r->n ? at + r->block_rows : r->n;
        double leaf[2] = {0, 0};
        for (int64_t i = at; i < end; i++) {
            if (!probe_trains(t, label, i)) continue;
            const double off = r->label[label][i] - centre;
            leaf[0] += power == 1 ? off : off * off;
            leaf[1] += 1;
        }
        treesum_push(&tree, block, leaf);
    }
    TRY(par_tree_finish(sum, &tree, t->par, scratch));
    arena_reset(scratch, mark);
    return OK;
}

Status probe_label_moments(double *mean, double *std, int label, const ProbeTask *t, Arena *scratch)
{
    double sum[2];
    TRY(sum_labels(sum, label, 0, 1, t, scratch));
    *mean = sum[0] / sum[1];
    TRY(sum_labels(sum, label, *mean, 2, t, scratch));
    *std = sum[0] > 0 ? sqrt(sum[0] / sum[1]) : 1;
    return OK;
}
