/* lost_rows.c - lost files in blocks of embeddings and in embeddings.h5. */
#include "embed/lost_rows.h"

#include <string.h>

Status lost_mark_block(EmbedBlock *b, Lost *l, Arena *scratch)
{
    lost_look_again(l);
    for (int64_t i = 0; i < b->n; i++)
        for (int m = 0; m < N_MODALITIES; m++)
            if (!(b->taken[m] && b->taken[m][i])) TRY(lost_mark(&b->flag[m][i], l, (Modality)m, &b->row[i], scratch));
    return OK;
}

bool lost_some(const EmbedBlock *b)
{
    for (int m = 0; m < N_MODALITIES; m++)
        for (int64_t i = 0; i < b->n; i++)
            if (b->flag[m][i] >= 0 && (b->flag[m][i] & flag_file_lost[m])) return true;
    return false;
}

/* ---- embeddings.h5 ---- */

const char lost_attribute[] = "fingerprint_with_all_files";

Fingerprint lost_fingerprint(const Fingerprint *whole, const EmbedLedger *l)
{
    HashState *h = hash_open();
    hash_add_text(h, whole->text);
    hash_add(h, &l->lost_sum, sizeof l->lost_sum);
    return hash_close(h);
}

bool lost_only(const char *path, const Fingerprint *whole, Arena *a)
{
    H5File f = {0};
    char *text = NULL;
    const Mark mark = arena_mark(a);
    const bool same = h5_open(&f, path, NULL) == OK && h5_get_attr_text(&text, &f, "/", lost_attribute, a) &&
                      strcmp(text, whole->text) == 0;
    if (h5_close(&f) != OK || !same) fail_clear();
    arena_reset(a, mark);
    return same;
}
