/* lost.c - input files that went away between catalog and embed: found by looking for each file of the manifest again. */
#include "embed/lost.h"

#include <string.h>
#include <sys/stat.h>

#include "core/log.h"
#include "data/manifest.h"
#include "io/fitsfile.h"
#include "par/sethash.h"

enum { CHUNK_ROWS = 1024 };

/* Flags that a missing or half-written file can give. */
static const int32_t suspicious[N_MODALITIES] = {IMAGE_NO_BRICK | IMAGE_UNREADABLE | IMAGE_MISSING_BAND | IMAGE_PADDED |
                                                     IMAGE_NO_MASKBITS,
                                                 SPECTRUM_NO_FILE | SPECTRUM_UNREADABLE};

static bool any_suspicious(const EmbedLedger *l)
{
    for (int m = 0; m < N_MODALITIES; m++)
        for (int bit = 0; bit < FLAG_BITS; bit++)
            if ((suspicious[m] >> bit & 1) && l->count[m][bit] > 0) return true;
    return false;
}

static bool is_lost(const ManifestRow *row, const ReleaseConfig *r)
{
    const bool image = strcmp(row->role, ROLE_IMAGE) == 0;
    char path[FITS_PATH];
    struct stat info;
    if (row->size < 0 || (!image && strcmp(row->role, ROLE_SPECTRA) != 0)) return false;
    const char *root = image ? release_images(r)->root(r->images.config) : release_spectra(r)->root(r->spectra.config);
    return !survey_file(path, sizeof path, root, row->path) || stat(path, &info) != 0 || info.st_size != row->size;
}

/* Local. This rank's share of the manifest. */
static Status look(SetHash *lost, int64_t *n_lost, const Embedder *e, const Par *par, Arena *a)
{
    int64_t first, last;
    ManifestRow *row = NULL;
    par_share(&first, &last, par, e->catalog->n_manifest);
    TRY(arena_new(&row, a, CHUNK_ROWS));
    for (int64_t at = first; at < last; at += CHUNK_ROWS) {
        int64_t n = last - at < CHUNK_ROWS ? last - at : CHUNK_ROWS;
        const Mark mark = arena_mark(a);
        TRY(catalog_read_manifest(row, e->catalog, at, n, a));
        arena_reset(a, mark);
        for (int64_t i = 0; i < n; i++) {
            if (!is_lost(&row[i], e->release)) continue;
            sethash_add(lost, row[i].path, strlen(row[i].path));
            ++*n_lost;
        }
    }
    return OK;
}

Status lost_mark(Fingerprint *fingerprint, EmbedLedger *ledger, const Embedder *e, const Par *par, Arena *a)
{
    SetHash lost = {0};
    int64_t n = 0;
    if (!any_suspicious(ledger)) return OK;
    const Mark mark = arena_mark(a);
    TRY(par_agree(par, look(&lost, &n, e, par, a)));
    arena_reset(a, mark);
    par_sum_i64(par, &n, 1);
    ledger->files_lost = n;
    if (n == 0) return OK;
    Fingerprint files = sethash_finish(&lost, par);
    HashState *h = hash_open();
    hash_add_text(h, fingerprint->text);
    hash_add_text(h, files.text);
    *fingerprint = hash_close(h);
    log_warn("embed: %lld input files that the catalogue saw are gone or of another size: rows are flagged for it, and "
             "the next run tries them again",
             (long long)n);
    return OK;
}

bool lost_some(const char *embeddings)
{
    H5File f = {0};
    int64_t n = 0;
    bool some = h5_open(&f, embeddings, NULL) == OK && h5_get_attr_i64(&n, &f, "/", "files_lost") && n > 0;
    h5_close(&f);
    fail_clear();
    return some;
}
