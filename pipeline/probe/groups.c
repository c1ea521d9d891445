/* groups.c - properties that the same train rows have are learnt together. */
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
