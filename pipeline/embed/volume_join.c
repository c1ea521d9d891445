/* volume_join.c - embeddings.h5, the file that people open: a virtual one over all volumes, with what its flags and figures
   mean, how many rows bear each, and what a later run needs to take rows from it. */
#include <string.h>
#include <unistd.h>

#include "embed/lost_rows.h"
#include "embed/volume.h"
#include "io/seal.h"
#include "volume_impl.h"

/* What a later run needs to know to take rows from here (reuse.h), and what this one took. */
static Status describe_reuse(H5File *f, const Embedder *e, const EmbedLedger *ledger)
{
    if (ledger->lost > 0) TRY(h5_put_attr_text(f, "/", lost_attribute, e->whole.text));
    TRY(h5_put_attr_text(f, "/", "inputs", e->catalog->manifest.text));
    for (int m = 0; m < N_MODALITIES; m++) {
        char name[32];
        snprintf(name, sizeof name, "%s_recipe", modality_name[m]);
        if (e->recipe[m] && e->recipe[m][0]) TRY(h5_put_attr_text(f, "/", name, e->recipe[m]));
        snprintf(name, sizeof name, "%s_rows_reused", modality_name[m]);
        if (e->reuse) TRY(h5_put_attr_i64(f, "/", name, ledger->reuse[m][REUSE_TAKEN]));
    }
    return e->reuse ? h5_put_attr_text(f, "/", "reused_from", e->config->reuse[0] ? e->config->reuse : "previous") : OK;
}

static Status describe(H5File *f, const Embedder *e, const EmbedLedger *ledger)
{
    bool zero_bands = e->images->missing_band == MISSING_BAND_ZERO;
    for (int m = 0; m < N_MODALITIES; m++) {
        TRY(h5_put_attr_i64(f, volume_flags[m], "embedded", ledger->embedded[m]));
        int bit = 0;
        for (const FlagRow *row = flags_table((Modality)m); row->bit; row++, bit++) {
            char text[256];
            if (row->bit == flag_file_lost[m] && ledger->lost == 0) continue; /* a passing state */
            snprintf(text, sizeof text, "bit %d%s: %s", bit,
                     flags_fatal((Modality)m, row->bit, zero_bands) ? " (not embedded)" : "", row->sentence);
            TRY(h5_put_attr_text(f, volume_flags[m], row->name, text));
            snprintf(text, sizeof text, "N_%s", row->name);
            TRY(h5_put_attr_i64(f, volume_flags[m], text, ledger->count[m][bit]));
        }
    }
    for (int s = 0; s < N_SPECTRUM_STATS; s++) {
        char name[24];
        snprintf(name, sizeof name, "column_%d", s);
        TRY(h5_put_attr_text(f, "spectrum_stats", name, spectrum_stat_name[s]));
    }
    for (int s = 0; s < N_IMAGE_STATS; s++) {
        char name[24];
        snprintf(name, sizeof name, "column_%d", s);
        TRY(h5_put_attr_text(f, "image_stats", name, image_stat_name[s]));
    }
    TRY(describe_reuse(f, e, ledger));
    TRY(h5_put_attr_i64(f, "/", "rows_in", e->catalog->n));
    return h5_put_attr_i64(f, "/", "rows_out", ledger->rows);
}

int64_t volume_count(const Embedder *e)
{
    return (e->catalog->n + e->config->volume_rows - 1) / e->config->volume_rows;
}

bool volume_all_there(const Embedder *e, const char *folder)
{
    char name[H5_PATH];
    for (int64_t v = 0; v < volume_count(e); v++) {
        volume_name(name, folder, v);
        if (access(name, R_OK) != 0) return false;
    }
    return true;
}

static Status join(const char *part, const Embedder *e, const Envelope *envelope, const EmbedLedger *ledger, Arena *a)
{
    Status st = OK;
    int64_t n_volumes = volume_count(e);
    H5File f = {0};
    char **source = NULL;
    int64_t *first = NULL, *rows = NULL, n = e->catalog->n;
    TRY(arena_new(&source, a, n_volumes));
    TRY(arena_new(&first, a, n_volumes));
    TRY(arena_new(&rows, a, n_volumes));
    for (int64_t v = 0; v < n_volumes; v++) {
        TRY(arena_printf(&source[v], a, "embeddings/volume-%05lld.h5", (long long)v));
        first[v] = v * e->config->volume_rows;
        rows[v] = v + 1 < n_volumes ? e->config->volume_rows : n - first[v];
    }
    TRY_DONE(h5_create(&f, part, NULL));
    TRY_DONE(artefact_write(&f, envelope));
    for (const VolumeColumn *c = volume_columns; c->name; c++)
        TRY_DONE(h5_new_virtual(&f, c->name, c->type, c->width, (int64_t[]){n, c->columns}, c->columns ? 2 : 1,
                                (const char *const *)source, first, rows, (int)n_volumes, -1));
    for (int s = 0; s < N_SETS; s++)
        if (e->dim[s] > 0)
            TRY_DONE(h5_new_virtual(&f, embedding_dataset[s], H5_F32, 0, (int64_t[]){n, e->dim[s]}, 2,
                                    (const char *const *)source, first, rows, (int)n_volumes, -1));
    TRY_DONE(describe(&f, e, ledger));
    st = h5_close(&f);
done:
    if (st != OK) (void)h5_close(&f);
    return st;
}

Status volume_join(const Embedder *e, const char *folder, const Envelope *envelope, const EmbedLedger *ledger,
                   const Par *par, Arena *a)
{
    char *path = NULL, *part = NULL;
    Mark mark = arena_mark(a);
    Status st = arena_printf(&path, a, "%s/embeddings.h5", folder);
    if (st == OK) st = arena_printf(&part, a, "%s.part", path);
    if (st == OK && par->rank == 0) st = join(part, e, envelope, ledger, a);
    TRY(par_agree(par, st));
    TRY(seal_file(part, par, a));
    st = artefact_publish(par, path);
    arena_reset(a, mark);
    return st;
}
