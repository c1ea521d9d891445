/* previous.c - earlier embeddings of the same output folder: moved aside, found again after an interruption, removed.

   The catalogue is kept by a second name (a hard link), so that replacing catalog.h5 leaves it; where a file system has
   none, the rows are embedded anew. The order of the steps makes each of them repeatable after a kill. */
#include "embed/previous.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "io/h5.h"

typedef struct {
    char *folder, *catalog, *embeddings, *volumes; /* kept */
    char *here_catalog, *here_embeddings, *here_volumes;
} Paths;

static Status find_paths(Paths *p, const char *output, Arena *a)
{
    TRY(arena_printf(&p->folder, a, "%s/previous", output));
    TRY(arena_printf(&p->catalog, a, "%s/catalog.h5", p->folder));
    TRY(arena_printf(&p->embeddings, a, "%s/embeddings.h5", p->folder));
    TRY(arena_printf(&p->volumes, a, "%s/embeddings", p->folder));
    TRY(arena_printf(&p->here_catalog, a, "%s/catalog.h5", output));
    TRY(arena_printf(&p->here_embeddings, a, "%s/embeddings.h5", output));
    return arena_printf(&p->here_volumes, a, "%s/embeddings", output);
}

/* Local. Do both files name the same inputs: was the second made from the first? */
static bool belong(const char *catalog, const char *embeddings, Arena *a)
{
    H5File f = {0}, g = {0};
    char *x = NULL, *y = NULL;
    if (access(catalog, R_OK) != 0 || access(embeddings, R_OK) != 0) return false;
    bool same = h5_open(&f, catalog, NULL) == OK && h5_open(&g, embeddings, NULL) == OK &&
                h5_get_attr_text(&x, &f, "/", "inputs", a) && h5_get_attr_text(&y, &g, "/", "inputs", a) &&
                strcmp(x, y) == 0;
    h5_close(&f);
    h5_close(&g);
    fail_clear();
    return same;
}

/* Local. A folder of files, gone. */
static void remove_folder(const char *path)
{
    char name[H5_PATH];
    DIR *dir = opendir(path);
    if (!dir) return;
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && snprintf(name, sizeof name, "%s/%s", path, entry->d_name) < (int)sizeof name)
            unlink(name);
    closedir(dir);
    rmdir(path);
}

static bool keep_catalog(const Paths *p)
{
    if (mkdir(p->folder, 0777) != 0 && errno != EEXIST) return false;
    unlink(p->catalog);
    return link(p->here_catalog, p->catalog) == 0;
}

Status previous_keep_catalog(const char *output, const Par *par, Arena *a)
{
    Paths p;
    const Mark mark = arena_mark(a);
    TRY(par_agree(par, find_paths(&p, output, a)));
    if (par->rank == 0 && belong(p.here_catalog, p.here_embeddings, a) && !keep_catalog(&p))
        log_info("catalog: the earlier %s cannot be kept (%s): a changed file will re-embed all rows", p.here_catalog,
                 strerror(errno));
    arena_reset(a, mark);
    return OK;
}

/* Local. Volumes first: embeddings.h5 without them is tried again, volumes without it are not. */
static Status move_aside(const Paths *p)
{
    unlink(p->embeddings);
    if (access(p->here_volumes, F_OK) == 0) {
        remove_folder(p->volumes);
        if (rename(p->here_volumes, p->volumes) != 0)
            return FAIL(E_OUTPUT, "cannot rename %s to %s: %s", p->here_volumes, p->volumes, strerror(errno));
    }
    if (rename(p->here_embeddings, p->embeddings) != 0)
        return FAIL(E_OUTPUT, "cannot rename %s to %s: %s", p->here_embeddings, p->embeddings, strerror(errno));
    return OK;
}

static Status take(bool *there, const Paths *p, Arena *a)
{
    bool known = belong(p->catalog, p->here_embeddings, a);
    if (!known && belong(p->here_catalog, p->here_embeddings, a)) known = keep_catalog(p);
    if (known) TRY(move_aside(p));
    *there = belong(p->catalog, p->embeddings, a);
    return OK;
}

Status previous_take(const char **folder, const char *output, const Par *par, Arena *a)
{
    Paths p;
    bool there = false;
    TRY(par_agree(par, find_paths(&p, output, a)));
    TRY(par_agree(par, par->rank == 0 ? take(&there, &p, a) : OK));
    par_bcast(par, &there, sizeof there, 0);
    *folder = there ? p.folder : "";
    return OK;
}

Status previous_drop(const char *output, const Par *par, Arena *a)
{
    Paths p;
    const Mark mark = arena_mark(a);
    TRY(par_agree(par, find_paths(&p, output, a)));
    if (par->rank == 0 && access(p.folder, F_OK) == 0) {
        unlink(p.embeddings);
        unlink(p.catalog);
        remove_folder(p.volumes);
        rmdir(p.folder);
    }
    arena_reset(a, mark);
    return OK;
}
