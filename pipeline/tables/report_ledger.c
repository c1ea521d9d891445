/* report_ledger.c - what became of every row: flags of the embeddings with examples, reasons of rejected rows. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "data/flags.h"
#include "embed/embeddings.h"
#include "tables/report.h"

enum { CHUNK = 1 << 16, EXAMPLES = 3 };

static bool applies(const Report *r) { return report_has(r, "embeddings.h5") || report_has(r, "catalog.h5"); }

/* How often, and the first of them. */
typedef struct {
    int64_t n, example[EXAMPLES];
} Tally;

static void count(Tally *t, int64_t targetid)
{
    if (t->n < EXAMPLES) t->example[t->n] = targetid;
    t->n++;
}

static void name_examples(char out[96], const Tally *t)
{
    out[0] = 0;
    for (int64_t i = 0; i < t->n && i < EXAMPLES; i++)
        snprintf(out + strlen(out), 96 - strlen(out), "%s%" PRId64, i ? ", " : "", t->example[i]);
}

/* tally[FLAG_BITS]: rows without any flag. */
static Status count_flags(Tally tally[FLAG_BITS + 1], Embeddings *e, Modality m, Arena *a)
{
    int32_t *flag = NULL;
    int64_t *id = NULL;
    TRY(arena_new(&flag, a, CHUNK));
    TRY(arena_new(&id, a, CHUNK));
    for (int64_t at = 0; at < e->n; at += CHUNK) {
        const int64_t n = e->n - at < CHUNK ? e->n - at : CHUNK;
        TRY(embeddings_read_flags(flag, e, m, at, n));
        TRY(embeddings_read_targets(id, e, at, n));
        for (int64_t i = 0; i < n; i++) {
            if (!flag[i]) count(&tally[FLAG_BITS], id[i]);
            for (int b = 0; b < FLAG_BITS; b++)
                if (flag[i] >> b & 1) count(&tally[b], id[i]);
        }
    }
    return OK;
}

static Status write_flags(Page *p, const Report *r)
{
    Embeddings e = {0};
    char *path, example[96];
    Status st = OK;
    TRY(report_path(&path, r, "embeddings.h5"));
    TRY_DONE(embeddings_open(&e, path, NULL, r->arena));
    page_table(p, "Flags of the embeddings: a row may bear several",
               "modality\tflag\trows\tshare\tmeaning\tTARGETIDs, for example");
    for (int m = 0; m < N_MODALITIES; m++) {
        Tally tally[FLAG_BITS + 1] = {{0}};
        TRY_DONE(count_flags(tally, &e, (Modality)m, r->arena));
        name_examples(example, &tally[FLAG_BITS]);
        page_row(p, "%s\t(none)\t%" PRId64 "\t%.2f %%\tnothing to say\t%s", modality_name[m], tally[FLAG_BITS].n,
                 e.n ? 100 * (double)tally[FLAG_BITS].n / (double)e.n : 0, example);
        for (const FlagRow *row = flags_table((Modality)m); row->bit; row++) {
            const Tally *t = &tally[__builtin_ctz((unsigned)row->bit)];
            if (t->n == 0) continue;
            name_examples(example, t);
            page_row(p, "%s\t%s\t%" PRId64 "\t%.2f %%\t%s%s\t%s", modality_name[m], row->name, t->n,
                     100 * (double)t->n / (double)e.n, row->sentence, row->fatal ? " (no embedding)" : "", example);
        }
    }
    page_table_end(p);
done:
    embeddings_close(&e);
    return st;
}

static Status write_rejected(Page *p, const Report *r)
{
    Catalog c = {0};
    char *path, example[96];
    Tally tally[N_REJECTS] = {{0}};
    RejectedRow *row = NULL;
    Status st = OK;
    int64_t any = 0;
    TRY(report_path(&path, r, "catalog.h5"));
    TRY_DONE(catalog_open(&c, path, NULL, r->arena));
    TRY_DONE(arena_new(&row, r->arena, CHUNK));
    for (int64_t at = 0; at < c.n_rejected; at += CHUNK) {
        const int64_t n = c.n_rejected - at < CHUNK ? c.n_rejected - at : CHUNK;
        TRY_DONE(catalog_read_rejected(row, &c, at, n, r->arena));
        for (int64_t i = 0; i < n; i++)
            if (row[i].reason >= 0 && row[i].reason < N_REJECTS) count(&tally[row[i].reason], row[i].targetid), any++;
    }
    if (any == 0) {
        page_text(p, "No source row was rejected.");
        goto done;
    }
    page_table(p, "Rejected source rows", "reason\trows\tmeaning\tTARGETIDs, for example");
    for (int k = 0; k < N_REJECTS; k++) {
        if (tally[k].n == 0) continue;
        name_examples(example, &tally[k]);
        page_row(p, "%s\t%" PRId64 "\t%s\t%s", reject_table[k].name, tally[k].n, reject_table[k].sentence, example);
    }
    page_table_end(p);
done:
    catalog_close(&c);
    return st;
}

static Status write(Page *p, const Report *r)
{
    if (report_has(r, "embeddings.h5")) TRY(write_flags(p, r));
    return report_has(r, "catalog.h5") ? write_rejected(p, r) : OK;
}

const ReportSection report_ledger = {"The ledger", applies, write};
