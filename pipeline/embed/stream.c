/* stream.c - which part is encoded now, and which one is begun meanwhile. */
#include "embed/stream.h"

#include "io/fitsfile.h"

void stream_note(int64_t first, int64_t n)
{
    fail_note("embedding rows %lld to %lld", (long long)first, (long long)(first + n - 1));
}

static Status read_part(HelperTask *task) { return part_read(&((StreamPart *)task)->part); }

Status stream_open(Stream *s, Embedder *e, const Volume *v, Work *work, const Par *par, Arena *a)
{
    *s = (Stream){.embedder = e, .volume = v, .work = work, .par = par, .arena = a};
    TRY(arena_init(&s->scratch, "reading", a->limit));
    for (int k = 0; k < 2; k++) {
        TRY(arena_init(&s->part[k].arena, "rows read", a->limit));
        TRY(arena_init(&s->block[k].arena, "block", a->limit));
    }
    return helper_open(&s->helper, e->config->read_ahead && fitsfile_is_reentrant(), a);
}

void stream_stop(Stream *s)
{
    if (s->ahead) helper_drop(s->helper, &s->ahead->task);
    s->ahead = NULL;
}

void stream_close(Stream *s)
{
    helper_close(s->helper);
    arena_free(&s->scratch);
    for (int k = 0; k < 2; k++) {
        arena_free(&s->part[k].arena);
        arena_free(&s->block[k].arena);
    }
}

/* The number of the next block to be done; -1 = none is left. */
static int64_t take_block(Stream *s)
{
    int64_t b;
    do b = par_work_next(s->work, s->par);
    while (b >= 0 && s->volume->checksum[b] != 0);
    return b;
}

static Status begin_block(StreamBlock *to, Stream *s, int64_t b)
{
    const Volume *v = s->volume;
    const int64_t first = v->first + v->block_start[b], n = v->block_start[b + 1] - v->block_start[b];
    arena_reset(&to->arena, (Mark){0});
    Status st = FAIL_POINT("embed.block");
    if (st == OK) st = block_begin(&to->block, &to->rows, s->embedder, first, n, &to->arena);
    if (st != OK) stream_note(first, n);
    return st;
}

/* Begins the part after the newest one, if there is one: s->ahead. Nothing is being read. */
static Status begin_next(Stream *s)
{
    const StreamPart *before = s->newest;
    const int turn = helper_is_beside(s->helper); /* else what is before is done with */
    const bool first = !before || before->part.last;
    const int64_t b = first ? take_block(s) : before->number;
    if (b < 0) return OK;
    if (first) {
        s->at_block ^= turn;
        TRY(begin_block(&s->block[s->at_block], s, b));
    }
    s->at_part ^= turn;
    StreamPart *p = &s->part[s->at_part];
    StreamBlock *block = &s->block[s->at_block];
    arena_reset(&p->arena, (Mark){0});
    arena_reset(&s->scratch, (Mark){0});
    p->part = (BlockPart){.arena = &p->arena, .scratch = &s->scratch};
    block_next(&p->part, &block->rows, &block->block, s->embedder);
    p->number = b;
    p->first = first;
    p->task = (HelperTask){.work = read_part,
                           .clock = part_clock[p->part.modality],
                           .on_main = !part_may_be_beside(&p->part)};
    helper_start(s->helper, &p->task);
    s->ahead = s->newest = p;
    return OK;
}

/* Takes what was read, begins the next part, encodes. */
static Status do_part(Stream *s, StreamPart *p)
{
    EmbedBlock *b = p->part.block;
    Status st = helper_wait(s->helper, &p->task, "wait for reading");
    s->ahead = NULL;
    if (st == OK && helper_is_beside(s->helper)) TRY(begin_next(s));
    if (st == OK) st = part_encode(&p->part, s->arena);
    if (st == OK && p->part.last) st = block_finish(b, s->embedder, s->arena);
    if (st != OK) stream_note(b->first, b->n);
    return st;
}

Status stream_next(const EmbedBlock **out, int64_t *number, Stream *s)
{
    const StreamPart *p;
    *out = NULL;
    do {
        if (!s->ahead) TRY(begin_next(s));
        p = s->ahead;
        if (!p) return OK;
        if (p->first && par_interrupted()) {
            take_block(s); /* which tells the others */
            return OK;
        }
        TRY(do_part(s, s->ahead));
    } while (!p->part.last);
    *out = p->part.block;
    *number = p->number;
    return OK;
}
