/* search.c - the stage: matches.fits, who is like whom. */
#include "tables/search.h"

#include <string.h>

#include "core/log.h"
#include "io/seal.h"
#include "newcomers.h"
#include "nn/gemm.h"
#include "stages.h"
#include "tables/matches.h"

static const ConfigSection *const sections[] = {&search_section, NULL};

typedef struct {
    char *path;
    Catalog catalog;
    Embeddings embeddings;
} Inputs;

static Status open_inputs(Inputs *in, const Run *run)
{
    char *path = NULL;
    TRY(stage_path(&in->path, run, "matches.fits"));
    TRY(stage_path(&path, run, "catalog.h5"));
    TRY(stage_made_by("catalog", catalog_open(&in->catalog, path, NULL, run->arena)));
    TRY(stage_path(&path, run, "embeddings.h5"));
    return stage_made_by("embed", embeddings_open(&in->embeddings, path, NULL, run->arena));
}

static Status hash_file(HashState *h, const char *path)
{
    char sha256[SHA256_TEXT];
    const char *slash = strrchr(path, '/');
    TRY(hash_file_sha256(sha256, path));
    hash_add_text(h, slash ? slash + 1 : path);
    hash_add_text(h, sha256);
    return OK;
}

/* What is asked for stands in files, too: wherever they lie. */
static Status fingerprint_of(Fingerprint *out, const Run *run, const Inputs *in)
{
    const SearchConfig *c = config_get(run->config, &search_section);
    HashState *h = stage_hash(run, &search_stage);
    Status st = OK;
    hash_add_text(h, in->catalog.envelope.fingerprint.text);
    hash_add_text(h, in->embeddings.envelope.fingerprint.text);
    if (c->objects[0]) st = hash_file(h, c->objects);
    for (int64_t i = 0; i < c->spectra.n && st == OK; i++) st = hash_file(h, c->spectra.item[i]);
    for (int64_t i = 0; i < c->cutouts.n && st == OK; i++) st = hash_file(h, c->cutouts.item[i]);
    if (st != OK) fail_note("for the queries of section search");
    *out = hash_close(h);
    return st;
}

static void tell(const SearchTold *told, const SearchConfig *c, const char *path)
{
    if (told->not_found > 0)
        log_warn("search: %lld of %lld queries are no row of the catalogue (NOT_FOUND in HDU QUERIES)",
                 (long long)told->not_found, (long long)told->queries);
    log_info("search: %lld queries, %lld matches; %.3g pairs%s in %.1f s", (long long)told->queries,
             (long long)told->matches, told->products,
             c->index == INDEX_EXACT ? " compared" : ", of which indices choose,", told->seconds);
    for (int d = 0; d < N_DIRECTIONS; d++)
        if (c->index != INDEX_EXACT && search_goes(c, d))
            log_info("search: %s: recall %.4f of the exact matches, measured on a sample of the queries",
                     direction_table[d].name, told->recall[d]);
    log_info("search: wrote %s", path);
}

static Status run_search(Run *run)
{
    const RunConfig *rc = config_get(run->config, &run_section);
    const SearchConfig *c = config_get(run->config, &search_section);
    const Par *par = &run->par;
    Inputs in = {0};
    FreshObjects fresh;
    Fingerprint fingerprint = {0};
    Envelope envelope;
    SearchTold told;
    Status st = open_inputs(&in, run);
    if (st == OK && par->rank == 0) st = fingerprint_of(&fingerprint, run, &in);
    TRY_DONE(par_agree(par, st));
    par_bcast(par, &fingerprint, sizeof fingerprint, 0);
    int64_t current =
        !run->force && par->rank == 0 && artefact_is_current(in.path, "matches", MATCHES_VERSION, &fingerprint);
    par_bcast(par, &current, sizeof current, 0);
    if (current) {
        log_info("search: %s is current, nothing to do", in.path);
        goto done;
    }
    if (run->ask) {
        run->stale = true;
        goto done;
    }
    TRY_DONE(seal_check(&in.catalog.file, par, run->arena));
    TRY_DONE(newcomers_embed(&fresh, run, c, &in.embeddings));
    TRY_DONE(par_agree(par, gemm_choose(rc->gemm, (int)rc->threads))); /* finds neighbours sooner, never others */
    TRY_DONE(par_agree(par, stage_envelope(&envelope, run, "matches", MATCHES_VERSION, &search_stage, fingerprint)));
    envelope.provider = in.embeddings.envelope.provider; /* the only products that matter here are the encoders' */
    const SearchSources sources = {c, &in.catalog, &in.embeddings, &fresh, run->force};
    TRY_DONE(search_run(&told, in.path, &envelope, &sources, par, run->arena));
    tell(&told, c, in.path);
done:
    catalog_close(&in.catalog);
    embeddings_close(&in.embeddings);
    return st;
}

static Status plan_search(Run *run, FILE *out)
{
    const SearchConfig *c = config_get(run->config, &search_section);
    const Mark mark = arena_mark(run->arena);
    Inputs in = {0};
    if (open_inputs(&in, run) == OK) {
        const int64_t dim =
            in.embeddings.dim[SET_IMAGE] > 0 ? in.embeddings.dim[SET_IMAGE] : in.embeddings.dim[SET_SPECTRUM];
        const int64_t queries = search_count_queries(c, in.catalog.n);
        SearchBytes bytes;
        search_bytes(&bytes, c, dim, in.catalog.n);
        fprintf(
            out,
            "search: %lld queries among %lld rows in %lld directions, %lld matches each, %lld queries at a time; ranks "
            "keep %.3g GB of embeddings together, where that is at most %.3g GB each (search.keep_gb), or else read "
            "them again for each batch; besides, a rank takes %.3g GB, and %.3g GB are shared by all; writes %s\n",
            (long long)queries, (long long)in.catalog.n, (long long)c->directions.n, (long long)c->neighbours,
            (long long)c->batch, 1e-9 * bytes.kept, c->keep_gb, 1e-9 * (bytes.rank + bytes.again), 1e-9 * bytes.share,
            in.path);
    } else {
        fail_clear();
        fprintf(out, "search: once catalog.h5 and embeddings.h5 are there; writes %s\n",
                in.path ? in.path : "matches.fits");
    }
    catalog_close(&in.catalog);
    embeddings_close(&in.embeddings);
    arena_reset(run->arena, mark);
    return OK;
}

const Stage search_stage = {
    .name = "search",
    .reads = "catalog.h5, embeddings.h5, a table or FITS files of queries (if named)",
    .writes = "matches.fits",
    .help = "who is like whom: the nearest neighbours of objects, by their embeddings",
    .purpose =
        "Finds the most similar objects, by the cosine of their aligned embeddings: image to image, spectrum to "
        "spectrum, and across.\n"
        "Queries are rows by TARGETID, by position, by a table of either, or all of them; or spectra and cutouts "
        "in FITS files, which\n"
        "are embedded on the way; without any, a few rows that TARGETIDs choose. The search is exact, over all "
        "ranks, and the same on\n"
        "any number of them; equal scores come by TARGETID. Where the program has FAISS, search.index takes candidates "
        "from an approximate index\n"
        "instead, scores them as exactly, and measures how many of the exact matches it finds.",
    .revision = 1,
    .sections = sections,
    .tells = true,
    .run = run_search,
    .plan = plan_search,
};
