/* pieces.c - pieces of vectors travel to their owners while more are computed; owners add them in tree order.

   Every rank knows the nodes of every other: the shape of the tree and par_share say it all. So the owner of a piece
   posts one receive per node that is not his, for the WINDOW next of his pieces, and when all nodes of a piece are
   there he appends them from left to right as a TreeSum would and posts the receives of a later piece. Pieces go from
   last to first on all ranks, nodes from left to right: one tag is enough, messages of a pair of ranks keep their
   order. */
#include "par/pieces.h"

#include <limits.h>
#include <mpi.h>
#include <string.h>

#include "core/clock.h"

enum { TAG_PIECES = 74, WINDOW = 3 };

typedef struct {
    int rank;   /* who holds it */
    int merges; /* additions that follow when it is appended to the nodes on its left */
} Node;

struct Pieces {
    const Par *par;
    int64_t n, piece, n_pieces;
    int64_t n_nodes; /* of all ranks */
    Node *node;      /* from left to right */
    int n_mine, n_others;
    float **mine; /* (n_mine) */

    bool begun;
    int64_t ready;    /* pieces from here on are final on this rank */
    int64_t receive;  /* the next of this rank's pieces to post receives for; below 0 = all posted */
    int64_t sum;      /* the next of this rank's pieces to be summed */
    float *window;    /* (WINDOW, n_others, piece) */
    MPI_Request *in;  /* (WINDOW, n_others) */
    MPI_Request *out; /* (sends of one sum) */
    int64_t n_out;
    float **stack;  /* (n_nodes) operands of the sum of one piece */
    double *shared; /* numbers of all pieces in the order of their owners */
};

/* ---- the shape ---- */

int pieces_nodes(int *most, const Par *par, int64_t n_leaves)
{
    TreeNode held[TREE_HELD];
    int n_held = 0;
    int64_t first, last;
    par_share(&first, &last, par, n_leaves);
    *most = 0;
    for (int64_t leaf = first; leaf < last; leaf++) {
        if (n_held + 1 > *most) *most = n_held + 1;
        tree_append(held, &n_held, leaf, 0, n_leaves);
    }
    return n_held;
}

/* Appends the nodes of a rank to those of the ranks before it; returns how many. */
static int append_rank(Node *out, TreeNode *all, int *n_all, Par rank, int64_t n_leaves)
{
    TreeNode own[TREE_HELD];
    int n_own = 0;
    int64_t first, last;
    par_share(&first, &last, &rank, n_leaves);
    for (int64_t leaf = first; leaf < last; leaf++) tree_append(own, &n_own, leaf, 0, n_leaves);
    for (int i = 0; i < n_own && out; i++)
        out[i] = (Node){rank.rank, tree_append(all, n_all, own[i].index, own[i].level, n_leaves)};
    return n_own;
}

/* How much of everything there is, for the arena and for plans. */
typedef struct {
    int64_t pieces, own, nodes, mine;
} Sizes;

static Sizes sizes_of(const Par *par, int64_t n, int64_t piece, int64_t n_leaves)
{
    Sizes s = {.pieces = (n + piece - 1) / piece};
    s.own = (s.pieces + par->n_ranks - 1 - par->rank) / par->n_ranks;
    for (int r = 0; r < par->n_ranks; r++) {
        const int count = append_rank(NULL, NULL, NULL, (Par){.rank = r, .n_ranks = par->n_ranks}, n_leaves);
        s.nodes += count;
        if (r == par->rank) s.mine = count;
    }
    return s;
}

static int64_t shared_numbers(const Par *par, const Sizes *s)
{
    return (s->pieces + par->n_ranks - 1) / par->n_ranks * par->n_ranks;
}

int64_t pieces_bytes(const Par *par, int64_t n, int64_t piece, int64_t n_leaves)
{
    const Sizes s = sizes_of(par, n, piece, n_leaves);
    const int64_t others = s.nodes - s.mine;
    const size_t bytes[] = {sizeof(Pieces),
                            sizeof(Node) * (size_t)s.nodes,
                            sizeof(float *) * (size_t)s.mine,
                            sizeof(float) * (size_t)(WINDOW * others * piece),
                            sizeof(MPI_Request) * (size_t)(WINDOW * others),
                            sizeof(MPI_Request) * (size_t)((s.pieces - s.own) * s.mine),
                            sizeof(float *) * (size_t)s.nodes,
                            sizeof(double) * (size_t)shared_numbers(par, &s)};
    int64_t sum = 0;
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        sum += bytes[i] ? ((int64_t)bytes[i] + 63) / 64 * 64 : 64; /* as arenas give it */
    return sum;
}

Status pieces_open(Pieces **out, const Par *par, int64_t n, int64_t piece, int64_t n_leaves, Arena *a)
{
    MUST(n >= 0 && piece > 0 && piece <= INT_MAX / (int64_t)sizeof(float) && n_leaves >= par->n_ranks);
    const Sizes s = sizes_of(par, n, piece, n_leaves);
    TRY(arena_new(out, a, 1));
    Pieces *p = *out;
    *p = (Pieces){.par = par,
                  .n = n,
                  .piece = piece,
                  .n_pieces = s.pieces,
                  .n_nodes = s.nodes,
                  .n_mine = (int)s.mine,
                  .n_others = (int)(s.nodes - s.mine)};
    TRY(arena_new(&p->node, a, s.nodes));
    TRY(arena_new(&p->mine, a, s.mine));
    TRY(arena_new(&p->window, a, WINDOW * p->n_others * piece));
    TRY(arena_new(&p->in, a, WINDOW * p->n_others));
    TRY(arena_new(&p->out, a, (s.pieces - s.own) * s.mine));
    TRY(arena_new(&p->stack, a, s.nodes));
    TRY(arena_new(&p->shared, a, shared_numbers(par, &s)));
    TreeNode all[TREE_HELD];
    int n_all = 0;
    int64_t at = 0;
    for (int r = 0; r < par->n_ranks; r++)
        at += append_rank(p->node + at, all, &n_all, (Par){.rank = r, .n_ranks = par->n_ranks}, n_leaves);
    MUST(n_all == 1);
    return OK;
}

/* ---- one sum ---- */

static MPI_Comm comm_of(const Pieces *p) { return *(MPI_Comm *)p->par->comm; }

static int64_t length_of(const Pieces *p, int64_t k)
{
    const int64_t left = p->n - k * p->piece;
    return left < p->piece ? left : p->piece;
}

static int owner_of(const Pieces *p, int64_t k) { return (int)(k % p->par->n_ranks); }

/* Where piece k of this rank waits for the nodes of others. */
static int64_t slot_of(const Pieces *p, int64_t k) { return k / p->par->n_ranks % WINDOW * p->n_others; }

static void post_receives(Pieces *p)
{
    const int64_t k = p->receive, slot = slot_of(p, k);
    if (k < 0) return;
    p->receive -= p->par->n_ranks;
    int64_t at = slot;
    for (int64_t i = 0; i < p->n_nodes; i++) {
        if (p->node[i].rank == p->par->rank) continue;
        MPI_Irecv(p->window + at * p->piece, (int)length_of(p, k), MPI_FLOAT, p->node[i].rank, TAG_PIECES, comm_of(p),
                  &p->in[at]);
        at++;
    }
}

void pieces_begin(Pieces *p, float *const *node)
{
    MUST(!p->begun);
    memcpy(p->mine, node, sizeof *node * (size_t)p->n_mine);
    p->begun = true;
    p->ready = p->n_pieces;
    p->n_out = 0;
    const int64_t above = (p->n_pieces - 1 - p->par->rank) / p->par->n_ranks;
    p->sum = p->n_pieces > p->par->rank ? p->par->rank + above * p->par->n_ranks : -1;
    p->receive = p->sum;
    for (int i = 0; i < WINDOW; i++) post_receives(p);
}

/* All nodes of this rank's next piece are there. */
static void sum_piece(Pieces *p)
{
    const int64_t k = p->sum, n = length_of(p, k), from = k * p->piece;
    float *theirs = p->window + slot_of(p, k) * p->piece;
    int held = 0, mine = 0, other = 0;
    for (int64_t i = 0; i < p->n_nodes; i++) {
        const bool own = p->node[i].rank == p->par->rank;
        p->stack[held++] = own ? p->mine[mine++] + from : theirs + other++ * p->piece;
        for (int m = 0; m < p->node[i].merges; m++) {
            held--;
            float *restrict left = p->stack[held - 1];
            const float *restrict right = p->stack[held];
            for (int64_t j = 0; j < n; j++) left[j] += right[j];
        }
    }
    MUST(held == 1);
    if (p->stack[0] != p->mine[0] + from) memcpy(p->mine[0] + from, p->stack[0], sizeof **p->mine * (size_t)n);
    p->sum -= p->par->n_ranks;
    post_receives(p);
}

/* Sums what has arrived; asking is what makes MPI move the rest. */
static void progress(Pieces *p)
{
    while (p->sum >= 0) {
        int arrived = 1;
        if (p->n_others > 0) MPI_Testall(p->n_others, p->in + slot_of(p, p->sum), &arrived, MPI_STATUSES_IGNORE);
        if (!arrived || p->sum < p->ready) break;
        sum_piece(p);
    }
}

void pieces_ready(Pieces *p, int64_t first)
{
    MUST(p->begun && first >= 0);
    while (p->ready > first) {
        const int64_t k = --p->ready;
        if (owner_of(p, k) == p->par->rank) continue;
        for (int i = 0; i < p->n_mine; i++)
            MPI_Isend(p->mine[i] + k * p->piece, (int)length_of(p, k), MPI_FLOAT, owner_of(p, k), TAG_PIECES,
                      comm_of(p), &p->out[p->n_out++]);
    }
    progress(p);
}

void pieces_finish(Pieces *p)
{
    MUST(p->begun && p->ready == 0);
    clock_wait(__FILE__, __LINE__);
    while (p->sum >= 0) {
        if (p->n_others > 0) MPI_Waitall(p->n_others, p->in + slot_of(p, p->sum), MPI_STATUSES_IGNORE);
        sum_piece(p);
        clock_tick();
    }
    for (int64_t at = 0; at < p->n_out; at += INT_MAX)
        MPI_Waitall((int)(p->n_out - at < INT_MAX ? p->n_out - at : INT_MAX), p->out + at, MPI_STATUSES_IGNORE);
    clock_wait(NULL, 0);
    p->begun = false;
}

void pieces_abandon(Pieces *p, float *const *node)
{
    int64_t begun = p->begun;
    par_max_i64(p->par, &begun, 1);
    if (!begun) return;
    if (!p->begun) pieces_begin(p, node);
    pieces_ready(p, 0);
    pieces_finish(p);
}

/* ---- from the owners to everybody ---- */

/* A round of one piece from each rank lies side by side; the last round may be incomplete. */
void pieces_share(const Pieces *p, float *all)
{
    if (!p->par->comm || p->par->n_ranks == 1) return;
    int64_t k = 0;
    clock_wait(__FILE__, __LINE__);
    for (; (k + p->par->n_ranks) * p->piece <= p->n; k += p->par->n_ranks) {
        MPI_Allgather(MPI_IN_PLACE, 0, MPI_FLOAT, all + k * p->piece, (int)p->piece, MPI_FLOAT, comm_of(p));
        clock_tick();
    }
    for (; k < p->n_pieces; k++)
        MPI_Bcast(all + k * p->piece, (int)length_of(p, k), MPI_FLOAT, owner_of(p, k), comm_of(p));
    clock_wait(NULL, 0);
}

void pieces_share_f64(Pieces *p, double *each)
{
    const int n_ranks = p->par->n_ranks;
    if (!p->par->comm || n_ranks == 1) return;
    const int64_t own = (p->n_pieces + n_ranks - 1) / n_ranks; /* of the rank that has most */
    MUST(own <= INT_MAX);
    for (int64_t k = p->par->rank; k < p->n_pieces; k += n_ranks) p->shared[p->par->rank * own + k / n_ranks] = each[k];
    clock_wait(__FILE__, __LINE__);
    MPI_Allgather(MPI_IN_PLACE, 0, MPI_DOUBLE, p->shared, (int)own, MPI_DOUBLE, comm_of(p));
    clock_wait(NULL, 0);
    for (int64_t k = 0; k < p->n_pieces; k++) each[k] = p->shared[k % n_ranks * own + k / n_ranks];
}
