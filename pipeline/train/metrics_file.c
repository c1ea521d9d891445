/* metrics_file.c - the learning curve, a line a step. Losses are written so that they read back to the same bits. */
#include "metrics_file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static void write_header(const MetricsFile *m)
{
    fputs("step,epoch,loss,grad_norm,lr,val_loss", m->file);
    for (const char *const *t = m->terms; t && *t; t++) fprintf(m->file, ",%s", *t);
    fputs(",seconds\n", m->file);
}

/* Copies the header and the rows up to `step`; a line cut short by a kill ends it. */
static void copy_rows(FILE *to, FILE *from, int64_t step)
{
    char line[512];
    while (fgets(line, sizeof line, from)) {
        int64_t at;
        if (!strchr(line, '\n')) break;
        if (sscanf(line, "%" SCNd64 ",", &at) == 1 && at <= step) fputs(line, to);
    }
}

Status metrics_open(MetricsFile *m, const char *folder, const char *const *terms, int64_t step)
{
    char part[1040];
    const int n = snprintf(m->path, sizeof m->path, "%s/metrics.csv", folder);
    if (n < 0 || n >= (int)sizeof m->path) return FAIL(E_OUTPUT, "the path %.200s... is too long", folder);
    snprintf(part, sizeof part, "%s.part", m->path);
    FILE *old = step > 0 ? fopen(m->path, "r") : NULL;
    m->val_loss = NAN;
    m->terms = terms;
    m->file = fopen(part, "w");
    if (m->file) {
        write_header(m);
        if (old) copy_rows(m->file, old, step);
    }
    if (old) fclose(old);
    if (!m->file || metrics_flush(m) != OK || rename(part, m->path) != 0)
        return FAIL(E_OUTPUT, "%s cannot be written: %s", m->path, strerror(errno));
    return OK;
}

void metrics_step(MetricsFile *m, const MetricsRow *row)
{
    m->row = *row;
    m->val_loss = NAN;
}

void metrics_validation(MetricsFile *m, double loss) { m->val_loss = loss; }

Status metrics_end_row(MetricsFile *m)
{
    const MetricsRow *r = &m->row;
    if (!m->file) return OK;
    int n = fprintf(m->file, "%" PRId64 ",%" PRId64 ",%.17g,%.9g,%.9g,", r->step, r->epoch, r->loss, r->norm, r->lr);
    if (n > 0 && !isnan(m->val_loss)) n = fprintf(m->file, "%.17g", m->val_loss);
    for (int i = 0; m->terms && m->terms[i] && n >= 0; i++) n = fprintf(m->file, ",%.9g", r->terms[i]);
    if (n >= 0) n = fprintf(m->file, ",%.1f\n", r->seconds);
    return n > 0 ? OK : FAIL(E_OUTPUT, "%s cannot be written: %s", m->path, strerror(errno));
}

Status metrics_flush(MetricsFile *m)
{
    if (!m->file || (fflush(m->file) == 0 && fsync(fileno(m->file)) == 0)) return OK;
    return FAIL(E_OUTPUT, "%s cannot be written: %s", m->path, strerror(errno));
}

Status metrics_close(MetricsFile *m)
{
    if (!m->file) return OK;
    const Status st = metrics_flush(m);
    fclose(m->file);
    m->file = NULL;
    return st;
}
