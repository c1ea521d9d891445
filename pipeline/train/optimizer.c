/* optimizer.c - one optimiser step from the gradients of replicas.

   Buffers are a stack: those at the bottom hold the nodes of the tree that are complete, the one above them is the
   gradient in hand. When it is complete the nodes merge as in core/treesum.h. The last replica's gradient merges piece
   by piece from the end, and each piece leaves (par/pieces.h) as soon as it is final in all nodes of this rank. */
#include <math.h>
#include <string.h>

#include "nn/vector.h"
#include "optimizer_impl.h"

/* ---- memory ---- */

typedef struct {
    int64_t n_pieces, piece, n_state;
    int n_buffers;
} Sizes;

static Sizes sizes_of(const OptimizerConfig *c, int64_t n, const Par *par)
{
    Sizes s = {.piece = c->piece > 0 ? c->piece : OPTIMIZER_PIECE};
    if (s.piece > n) s.piece = n > 0 ? n : 1;
    s.n_pieces = (n + s.piece - 1) / s.piece;
    const int64_t own = (s.n_pieces + par->n_ranks - 1 - par->rank) / par->n_ranks * s.piece;
    s.n_state = c->sharded && own < n ? own : n;
    pieces_nodes(&s.n_buffers, par, c->n_replicas);
    return s;
}

static int count_modules(const OptimizerConfig *c)
{
    int n = 0;
    while (c->modules && c->modules[n]) n++;
    MUST(n <= OPTIMIZER_MODULES);
    return n > 0 ? n : 1;
}

static int64_t in_arena(int64_t n, size_t size)
{
    const int64_t bytes = (n * (int64_t)size + 63) / 64 * 64;
    return bytes > 0 ? bytes : 64;
}

int64_t optimizer_bytes(const OptimizerConfig *c, int64_t n_d_reals, int64_t n_ranks)
{
    int64_t most = 0;
    for (int r = 0; r < n_ranks; r++) {
        const Par par = {.rank = r, .n_ranks = (int)n_ranks};
        const Sizes s = sizes_of(c, n_d_reals, &par);
        const int64_t bytes = in_arena(1, sizeof(Optimizer)) + in_arena(s.n_buffers, sizeof(real *)) +
                              s.n_buffers * in_arena(n_d_reals, sizeof(real)) + in_arena(TREE_HELD, sizeof(TreeNode)) +
                              in_arena(count_modules(c) * s.n_pieces, sizeof(double)) +
                              (c->sgd ? 1 : 2) * in_arena(s.n_state, sizeof(real)) +
                              (c->ema > 0 ? in_arena(s.n_state, sizeof(real)) : 0) +
                              pieces_bytes(&par, n_d_reals, s.piece, c->n_replicas);
        if (bytes > most) most = bytes;
    }
    return most;
}

/* Where the modules end in a gradient. */
static void find_modules(Optimizer *o)
{
    const Params *p = o->params;
    int at = 0;
    o->n_modules = count_modules(&o->c);
    for (int64_t i = 0; o->c.modules && i < p->n_params; i++) {
        if (p->param[i].d_offset < 0) continue;
        while (strncmp(p->param[i].name, o->c.modules[at], strlen(o->c.modules[at])) != 0) {
            o->module_end[at++] = p->param[i].d_offset;
            MUST(at < o->n_modules);
        }
    }
    while (at < o->n_modules) o->module_end[at++] = o->n;
}

static int module_of(const Optimizer *o, int64_t d_offset)
{
    int m = 0;
    while (d_offset >= o->module_end[m]) m++;
    return m;
}

static Status take_memory(Optimizer **out, Params *p, const OptimizerConfig *c, const Par *par, Arena *a)
{
    const Sizes s = sizes_of(c, p->n_d_reals, par);
    TRY(arena_new(out, a, 1));
    Optimizer *o = *out;
    *o = (Optimizer){.params = p,
                     .par = par,
                     .c = *c,
                     .n = p->n_d_reals,
                     .piece = s.piece,
                     .n_pieces = s.n_pieces,
                     .everything = !c->sharded || par->n_ranks == 1,
                     .n_buffers = s.n_buffers};
    find_modules(o);
    par_share(&o->first, &o->last, par, c->n_replicas);
    o->next = o->first;
    TRY(arena_new(&o->buffer, a, s.n_buffers));
    for (int i = 0; i < s.n_buffers; i++) TRY(arena_new(&o->buffer[i], a, o->n));
    TRY(arena_new(&o->held, a, TREE_HELD));
    TRY(arena_new(&o->squares, a, o->n_modules * s.n_pieces));
    TRY(arena_new(&o->m, a, s.n_state));
    if (!c->sgd) TRY(arena_new(&o->v, a, s.n_state));
    if (c->ema > 0) TRY(arena_new(&o->average, a, s.n_state));
    return pieces_open(&o->pieces, par, o->n, o->piece, c->n_replicas, a);
}

Status optimizer_open(Optimizer **out, Params *p, const OptimizerConfig *c, const Par *par, Arena *a)
{
    *out = NULL;
    if (c->n_replicas < par->n_ranks)
        return FAIL(E_CONFIG, "train.replicas: %lld replicas for %d ranks: each rank needs one; start fewer ranks",
                    (long long)c->n_replicas, par->n_ranks);
    Optimizer *o = NULL;
    TRY(par_agree(par, take_memory(&o, p, c, par, a)));
    if (o->average)
        for (Section s = optimizer_sections(o); optimizer_next(&s, o);)
            memcpy(o->average + s.state, p->value + s.weight, sizeof(real) * (size_t)s.n);
    *out = o;
    return OK;
}

void optimizer_close(Optimizer *o)
{
    if (o) pieces_abandon(o->pieces, o->buffer);
}

Section optimizer_sections(const Optimizer *o)
{
    return (Section){.piece = o->everything ? 0 : o->par->rank, .param = -1};
}

/* The part of parameter `param` that lies in piece `piece`; false = none. */
static bool cut(Section *out, const Optimizer *o, int64_t piece, int64_t param)
{
    const Param *p = &o->params->param[param];
    const int64_t begin = piece * o->piece, end = begin + o->piece;
    const int64_t from = p->d_offset > begin ? p->d_offset : begin;
    const int64_t to = p->d_offset + p->n < end ? p->d_offset + p->n : end;
    if (p->d_offset < 0 || from >= to) return false;
    const int64_t shard = o->everything ? begin : piece / o->par->n_ranks * o->piece;
    *out = (Section){piece, param, to - from, from, p->offset + from - p->d_offset, shard + from - begin};
    return true;
}

bool optimizer_next(Section *s, const Optimizer *o)
{
    int64_t param = s->param + 1;
    for (int64_t piece = s->piece; piece < o->n_pieces; piece += o->everything ? 1 : o->par->n_ranks) {
        for (; param < o->params->n_params; param++) {
            if (cut(s, o, piece, param)) return true;
            if (o->params->param[param].d_offset >= (piece + 1) * o->piece) break;
        }
        param = s->param < 0 ? 0 : s->param; /* it may go on in the next piece */
    }
    return false;
}

/* ---- replicas ---- */

void optimizer_replicas(int64_t *first, int64_t *last, const Optimizer *o)
{
    *first = o->first;
    *last = o->last;
}

static void add(real *restrict left, const real *restrict right, int64_t n)
{
    for (int64_t i = 0; i < n; i++) left[i] += right[i];
}

real *optimizer_gradient(Optimizer *o, int64_t replica)
{
    MUST(replica == o->next && replica < o->last && !o->swapped);
    real *in_hand = o->buffer[o->n_held];
    memset(in_hand, 0, sizeof *in_hand * (size_t)o->n);
    if (replica == o->last - 1) {
        TreeNode shape[TREE_HELD];
        int n_held = o->n_held;
        memcpy(shape, o->held, sizeof *shape * (size_t)n_held);
        o->last_merges = tree_append(shape, &n_held, replica, 0, o->c.n_replicas);
        o->complete = o->n_pieces;
        pieces_begin(o->pieces, o->buffer);
    }
    return in_hand;
}

/* Pieces `first` and above of the last replica's gradient are final. */
static void complete_pieces(Optimizer *o, int64_t first)
{
    while (o->complete > first) {
        const int64_t at = --o->complete * o->piece, n = o->n - at < o->piece ? o->n - at : o->piece;
        for (int top = o->n_held; top > o->n_held - o->last_merges; top--)
            add(o->buffer[top - 1] + at, o->buffer[top] + at, n);
        pieces_ready(o->pieces, o->complete);
    }
}

void optimizer_ready(Optimizer *o, int64_t d_offset)
{
    if (o->next == o->last - 1) complete_pieces(o, (d_offset + o->piece - 1) / o->piece);
}

void optimizer_collect(Optimizer *o, int64_t replica)
{
    MUST(replica == o->next && replica < o->last);
    if (replica == o->last - 1) complete_pieces(o, 0);
    int top = o->n_held;
    const int merges = tree_append(o->held, &o->n_held, replica, 0, o->c.n_replicas);
    for (int i = 0; i < merges && replica < o->last - 1; i++, top--) add(o->buffer[top - 1], o->buffer[top], o->n);
    o->next++;
}

/* ---- the step ---- */

/* The mean over replicas in place of the sum, and its squares: LANES sums side by side, in a fixed order. */
static double mean_squares(real *x, int64_t n, real factor)
{
    double lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            x[i + l] *= factor;
            lane[l] += (double)x[i + l] * (double)x[i + l];
        }
    for (; i < n; i++) {
        x[i] *= factor;
        sum += (double)x[i] * (double)x[i];
    }
    for (int l = 0; l < LANES; l++) sum += lane[l];
    return sum;
}

static void mean_piece(Optimizer *o, int64_t k)
{
    const real factor = (real)(1 / (double)o->c.n_replicas);
    const int64_t end = (k + 1) * o->piece < o->n ? (k + 1) * o->piece : o->n;
    int64_t at = k * o->piece;
    for (int m = 0; m < o->n_modules; m++) {
        const int64_t to = o->module_end[m] < end ? o->module_end[m] : end, n = to > at ? to - at : 0;
        o->squares[m * o->n_pieces + k] = mean_squares(o->buffer[0] + at, n, factor);
        at += n;
    }
}

/* Collective. Mean gradient in buffer[0], of this rank's own pieces; its norms. */
static void mean_gradient(StepReport *out, Optimizer *o)
{
    double squares = 0;
    pieces_finish(o->pieces);
    o->n_held = 0;
    o->next = o->first;
    for (int64_t k = o->par->rank; k < o->n_pieces; k += o->par->n_ranks) mean_piece(o, k);
    for (int m = 0; m < o->n_modules; m++) {
        double *own = o->squares + m * o->n_pieces, sum = 0;
        pieces_share_f64(o->pieces, own);
        for (int64_t k = 0; k < o->n_pieces; k++) sum += own[k];
        out->module_norm[m] = sqrt(sum);
        squares += sum;
    }
    out->norm = sqrt(squares);
}

static bool piece_is_finite(const Optimizer *o, int64_t k)
{
    double probe = 0;
    for (int m = 0; m < o->n_modules; m++) probe += o->squares[m * o->n_pieces + k];
    return isfinite(probe);
}

/* Collective. The first parameter with a gradient that is not finite. Its first piece tells: table and pieces have the
   same order. */
static const char *find_not_finite(const Optimizer *o)
{
    int64_t k = 0, found = 0; /* number + 1 */
    while (piece_is_finite(o, k)) k++;
    const bool own = k % o->par->n_ranks == o->par->rank;
    for (Section s = optimizer_sections(o); own && optimizer_next(&s, o);)
        for (int64_t i = 0; i < s.n && s.piece == k && found == 0; i++)
            if (!isfinite(o->buffer[0][s.gradient + i])) found = s.param + 1;
    par_max_i64(o->par, &found, 1);
    return found > 0 ? o->params->param[found - 1].name : "padding";
}

static bool decays(const Optimizer *o, const char *name)
{
    const size_t length = strlen(name);
    for (int64_t i = 0; i < o->c.no_decay.n; i++) {
        const size_t n = strlen(o->c.no_decay.item[i]);
        if (n <= length && strcmp(name + length - n, o->c.no_decay.item[i]) == 0) return false;
    }
    return true;
}

/* Where the trained parameters lie in params->value as they do in a gradient, but for one shift; -1 = nowhere: some
   between them are frozen. */
static int64_t shift_of(const Params *p)
{
    int64_t shift = -1;
    for (int64_t i = 0; i < p->n_params; i++) {
        if (p->param[i].d_offset < 0) continue;
        const int64_t its = p->param[i].offset - p->param[i].d_offset;
        if (shift >= 0 && its != shift) return -1;
        shift = its;
    }
    return shift;
}

void optimizer_spread_weights(Optimizer *o)
{
    if (o->everything) return;
    const int64_t shift = shift_of(o->params);
    if (shift >= 0) {
        pieces_share(o->pieces, o->params->value + shift);
        return;
    }
    real *all = o->buffer[0];
    for (Section s = optimizer_sections(o); optimizer_next(&s, o);)
        memcpy(all + s.gradient, o->params->value + s.weight, sizeof *all * (size_t)s.n);
    pieces_share(o->pieces, all);
    for (int64_t i = 0; i < o->params->n_params; i++) {
        const Param *p = &o->params->param[i];
        if (p->d_offset >= 0) memcpy(params_at(o->params, i), all + p->d_offset, sizeof *all * (size_t)p->n);
    }
}

void optimizer_momentum(Optimizer *o, double momentum)
{
    MUST(o->average != NULL);
    o->c.ema = momentum;
}

Status optimizer_step(StepReport *out, Optimizer *o, double lr, double weight_decay, const double *lr_scale,
                      const double *decay_scale, int64_t step)
{
    MUST(o->next == o->last && step > 0 && !o->swapped);
    *out = (StepReport){0};
    mean_gradient(out, o);
    if (!isfinite(out->norm)) {
        out->not_finite = find_not_finite(o);
        return OK;
    }
    if (o->everything) pieces_share(o->pieces, o->buffer[0]);
    double clip[OPTIMIZER_MODULES];
    for (int m = 0; m < o->n_modules; m++)
        clip[m] = o->c.max_norm > 0 ? optim_clip(out->module_norm[m], o->c.max_norm) : 1;
    for (Section s = optimizer_sections(o); optimizer_next(&s, o);) {
        const double rate = lr * (lr_scale ? lr_scale[s.param] : 1);
        const double decay =
            decays(o, o->params->param[s.param].name) ? weight_decay * (decay_scale ? decay_scale[s.param] : 1) : 0;
        real *d = o->buffer[0] + s.gradient, *value = o->params->value + s.weight;
        const double factor = clip[module_of(o, s.gradient)];
        if (factor < 1) optim_scale(d, factor, s.n);
        if (o->c.sgd)
            sgd_step(value, o->m + s.state, d, s.n, &(Sgd){rate, decay, o->c.sgd_momentum});
        else
            adamw_step(value, o->m + s.state, o->v + s.state, d, s.n,
                       &(AdamW){rate, decay, o->c.adam.beta1, o->c.adam.beta2, o->c.adam.eps}, step);
        if (o->average) ema_step(o->average + s.state, value, o->c.ema, s.n);
    }
    optimizer_spread_weights(o);
    return OK;
}
