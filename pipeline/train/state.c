/* state.c - what a training needs to go on: weights, the optimiser's moments, step and best loss, in one file that any
   number of ranks reads. The last two are kept: one of them is complete whenever the machine stops. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "io/seal.h"
#include "train/trainer.h"

enum { STATE_VERSION = 1 };

/* -1 for what is no state; what follows its name is `tail`. */
static int64_t number_of(const char *name, const char *tail)
{
    long long step = 0;
    int length = 0;
    if (sscanf(name, "state-%lld.h5%n", &step, &length) != 1 || length == 0 || strcmp(name + length, tail) != 0)
        return -1;
    return step;
}

static Status path_of(char out[H5_PATH], const char *folder, int64_t step)
{
    const int n = snprintf(out, H5_PATH, "%s/state-%08lld.h5", folder, (long long)step);
    return n > 0 && n < H5_PATH ? OK : FAIL(E_OUTPUT, "the path %.200s... is too long", folder);
}

static int newest_first(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Local. Steps of the states in the folder, newest first; with tail ".part" of those that a kill left unfinished. */
static Status list_states(int64_t **step, int64_t *n, const char *folder, const char *tail, Arena *a)
{
    DIR *d = opendir(folder);
    int64_t count = 0;
    *n = 0;
    if (!d) return arena_new(step, a, 1);
    for (struct dirent *e; (e = readdir(d));) count += number_of(e->d_name, tail) >= 0;
    Status st = arena_new(step, a, count + 1);
    rewinddir(d);
    for (struct dirent *e; st == OK && (e = readdir(d)) && *n < count;)
        if (number_of(e->d_name, tail) >= 0) (*step)[(*n)++] = number_of(e->d_name, tail);
    closedir(d);
    if (st == OK) qsort(*step, (size_t)*n, sizeof **step, newest_first);
    return st;
}

/* ---- writing ---- */

/* Frozen weights are those of the checkpoints that the training began with. */
static Status write_weights(H5File *f, const Params *p)
{
    for (int64_t i = 0; i < p->n_params; i++) {
        char name[PARAM_NAME + 16];
        if (p->param[i].d_offset < 0) continue;
        snprintf(name, sizeof name, "weights/%s", p->param[i].name);
        TRY(h5_put(f, name, H5_F32, 0, params_at(p, i), p->param[i].dims, p->param[i].n_dims));
    }
    return OK;
}

static Status write_state(H5File *f, const TrainState *s, const Params *p, Optimizer *o, const Envelope *envelope)
{
    Envelope e = *envelope;
    e.kind = "training";
    e.version = STATE_VERSION;
    TRY(artefact_write(f, &e));
    TRY(h5_put_attr_i64(f, "/", "step", s->step));
    TRY(h5_put_attr_i64(f, "/", "best_step", s->best_step));
    TRY(h5_put_attr_i64(f, "/", "waited", s->waited));
    TRY(h5_put_attr_f64(f, "/", "best_loss", s->best_loss));
    TRY(h5_put_attr_f64(f, "/", "first_loss", s->first_loss));
    if (s->n_memory > 0) TRY(h5_put(f, "memory", H5_F64, 0, s->memory, &s->n_memory, 1));
    TRY(write_weights(f, p));
    return optimizer_save(f, o);
}

/* Rank 0: all but the two newest. A file that cannot be removed is only disk. */
static void drop_old(const char *folder, Arena *scratch)
{
    int64_t *step, n;
    char path[H5_PATH];
    if (list_states(&step, &n, folder, "", scratch) == OK)
        for (int64_t i = 2; i < n; i++)
            if (path_of(path, folder, step[i]) == OK) unlink(path);
    fail_clear();
}

Status state_save(const TrainState *s, const Params *p, Optimizer *o, const char *folder, const Envelope *envelope,
                  const Par *par, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    char path[H5_PATH], part[H5_PATH + 8];
    H5File f = {0};
    TRY(par_agree(par, path_of(path, folder, s->step)));
    snprintf(part, sizeof part, "%s.part", path);
    Status st = h5_create(&f, part, par);
    if (st == OK) st = write_state(&f, s, p, o, envelope);
    st = par_agree(par, st);
    const Status closed = h5_close(&f);
    TRY(st);
    TRY(par_agree(par, closed));
    TRY(seal_file(part, par, scratch));
    TRY(artefact_publish(par, path));
    if (par->rank == 0) drop_old(folder, scratch);
    arena_reset(scratch, mark);
    return OK;
}

/* ---- reading ---- */

static bool read_numbers(TrainState *s, H5File *f)
{
    return h5_get_attr_i64(&s->step, f, "/", "step") && h5_get_attr_i64(&s->best_step, f, "/", "best_step") &&
           h5_get_attr_i64(&s->waited, f, "/", "waited") && h5_get_attr_f64(&s->best_loss, f, "/", "best_loss") &&
           h5_get_attr_f64(&s->first_loss, f, "/", "first_loss");
}

static Status read_memory(TrainState *s, H5File *f)
{
    H5Shape shape;
    if (s->n_memory == 0) return OK;
    TRY(h5_expect(&shape, f, "memory", &s->n_memory, 1));
    return h5_read_rows(s->memory, f, "memory", H5_F64, 0, 0, s->n_memory);
}

static Status read_weights(Params *p, H5File *f)
{
    for (int64_t i = 0; i < p->n_params; i++) {
        char name[PARAM_NAME + 16];
        H5Shape shape;
        if (p->param[i].d_offset < 0) continue;
        snprintf(name, sizeof name, "weights/%s", p->param[i].name);
        TRY(h5_expect(&shape, f, name, p->param[i].dims, p->param[i].n_dims));
        TRY(h5_read_rows(params_at(p, i), f, name, H5_F32, 0, 0, shape.n_dims > 0 ? shape.dims[0] : 1));
    }
    return OK;
}

/* Rank 0: the newest state of this training whose data are as they were written; -1 = none. */
static int64_t choose(const char *folder, const Fingerprint *fingerprint, Arena *scratch)
{
    int64_t *step, n, found = -1;
    if (list_states(&step, &n, folder, "", scratch) != OK) n = 0;
    for (int64_t i = 0; i < n && found < 0; i++) {
        char path[H5_PATH];
        H5File f = {0};
        Fingerprint said, is;
        if (path_of(path, folder, step[i]) != OK || !artefact_is_current(path, "training", STATE_VERSION, fingerprint))
            continue;
        if (h5_open(&f, path, NULL) == OK && seal_recorded(&said, &f, scratch) &&
            seal_sum(&is, &f, &par_alone, scratch) == OK && strcmp(said.text, is.text) == 0)
            found = step[i];
        else
            log_warn("%s is damaged: an earlier state is taken", path);
        h5_close(&f);
    }
    fail_clear();
    return found;
}

Status state_load(bool *found, TrainState *s, Params *p, Optimizer *o, const char *folder,
                  const Fingerprint *fingerprint, const Par *par, Arena *scratch)
{
    const Mark mark = arena_mark(scratch);
    char path[H5_PATH];
    H5File f = {0};
    int64_t step = par->rank == 0 ? choose(folder, fingerprint, scratch) : -1;
    par_bcast(par, &step, sizeof step, 0);
    *found = step >= 0;
    if (!*found) {
        arena_reset(scratch, mark);
        return OK;
    }
    Status st = path_of(path, folder, step);
    if (st == OK) st = h5_open(&f, path, NULL);
    if (st == OK && !read_numbers(s, &f)) st = FAIL(E_INPUT, "%s lacks attributes of a training: remove it", path);
    if (st == OK) st = read_memory(s, &f);
    if (st == OK) st = read_weights(p, &f);
    st = par_agree(par, st);
    if (st == OK) st = optimizer_load(&f, o);
    const Status closed = h5_close(&f);
    arena_reset(scratch, mark);
    return par_agree(par, st != OK ? st : closed);
}

static void remove_states(const char *folder, const char *tail, Arena *a)
{
    int64_t *step, n;
    char path[H5_PATH], whole[H5_PATH + 8];
    if (list_states(&step, &n, folder, tail, a) != OK) return;
    for (int64_t i = 0; i < n; i++) {
        if (path_of(path, folder, step[i]) != OK) continue;
        snprintf(whole, sizeof whole, "%s%s", path, tail);
        unlink(whole);
    }
}

Status state_remove_all(const char *folder, const Par *par)
{
    if (par->rank == 0) {
        Arena a;
        if (arena_init(&a, "list of states", 0) == OK) {
            remove_states(folder, "", &a);
            remove_states(folder, ".part", &a);
            arena_free(&a);
        }
        fail_clear();
    }
    par_barrier(par);
    return OK;
}
