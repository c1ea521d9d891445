/* votes.c - reads the table a line at a time and keeps what lies near a position. */
#include "data/votes.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const VoteQuestion vote_questions[N_VOTE_QUESTIONS] = {
    {"smooth-or-featured", {"smooth", "featured-or-disk", "artifact"}, 3},
    {"disk-edge-on", {"yes", "no"}, 2},
    {"has-spiral-arms", {"yes", "no"}, 2},
    {"bar", {"strong", "weak", "no"}, 3},
    {"bulge-size", {"dominant", "large", "moderate", "small", "none"}, 5},
    {"how-rounded", {"round", "in-between", "cigar-shaped"}, 3},
    {"edge-on-bulge", {"boxy", "none", "rounded"}, 3},
    {"spiral-winding", {"tight", "medium", "loose"}, 3},
    {"spiral-arm-count", {"1", "2", "3", "4", "more-than-4", "cant-tell"}, 6},
    {"merging", {"none", "minor-disturbance", "major-disturbance", "merger"}, 4},
};

enum { N_COLUMNS = 2 + N_VOTE_QUESTIONS * (1 + MOST_ANSWERS) };

/* Which field of a line goes where: ra, dec, then of each question its votes and answers; -1 = not in the table. */
typedef struct {
    const char *path;
    int64_t line;
    int n_fields;
    int column[N_COLUMNS];
    double value[N_COLUMNS];
} Reader;

static int place(int question, int answer)
{
    return 2 + question * (1 + MOST_ANSWERS) + 1 + answer;
} /* answer -1: votes */

static void name_of(char out[96], int c)
{
    if (c < 2) {
        strcpy(out, c == 0 ? "ra" : "dec");
        return;
    }
    const VoteQuestion *q = &vote_questions[(c - 2) / (1 + MOST_ANSWERS)];
    const int k = (c - 2) % (1 + MOST_ANSWERS);
    if (k == 0)
        snprintf(out, 96, "%s_total-votes", q->name);
    else if (k <= q->n_answers)
        snprintf(out, 96, "%s_%s_debiased", q->name, q->answer[k - 1]);
    else
        out[0] = '\0';
}

/* The next field of a line, quotes taken off; NULL at its end. */
static char *next_field(char **at)
{
    char *field = *at;
    if (!field) return NULL;
    char *comma = strchr(field, ',');
    if (comma) *comma = '\0';
    *at = comma ? comma + 1 : NULL;
    size_t n = strlen(field);
    if (n >= 2 && field[0] == '"' && field[n - 1] == '"') {
        field[n - 1] = '\0';
        field++;
    }
    return field;
}

static Status read_head(Reader *r, char *line)
{
    char *at = line, *field, name[96];
    for (int c = 0; c < N_COLUMNS; c++) r->column[c] = -1;
    for (r->n_fields = 0; (field = next_field(&at)); r->n_fields++)
        for (int c = 0; c < N_COLUMNS; c++) {
            name_of(name, c);
            if (name[0] && strcmp(name, field) == 0) r->column[c] = r->n_fields;
        }
    for (int c = 0; c < N_COLUMNS; c++) {
        name_of(name, c);
        if (name[0] && r->column[c] < 0)
            return FAIL(E_INPUT,
                        "%s has no column '%s': probe.morphology.votes is a table of volunteers' votes as Galaxy Zoo "
                        "DECaLS publishes it",
                        r->path, name);
    }
    return OK;
}

static Status number(double *out, const char *text, const Reader *r, int c)
{
    char *end, name[96];
    *out = NAN;
    if (text[0] == '\0') return OK;
    *out = strtod(text, &end);
    if (*end == '\0') return OK;
    name_of(name, c);
    return FAIL(E_INPUT, "%s:%lld: '%s' in column '%s' is no number", r->path, (long long)r->line, text, name);
}

static Status read_line(Reader *r, char *line)
{
    char *at = line, *field;
    int n = 0;
    for (; (field = next_field(&at)); n++)
        for (int c = 0; c < N_COLUMNS; c++)
            if (r->column[c] == n) TRY(number(&r->value[c], field, r, c));
    if (n == r->n_fields) return OK;
    return FAIL(E_INPUT, "%s:%lld: %d fields, the first line names %d", r->path, (long long)r->line, n, r->n_fields);
}

/* ---- positions, by declination ---- */

typedef struct {
    double ra, dec;
    int64_t index;
    double nearest; /* squared chord to the best row so far */
    int64_t row;
} Position;

static int by_dec(const void *a, const void *b)
{
    const Position *x = a, *y = b;
    return x->dec != y->dec ? (x->dec < y->dec ? -1 : 1) : (x->index > y->index) - (x->index < y->index);
}

static const double degree = M_PI / 180;

/* The squared length of the chord between two directions: good at the poles, at RA 0 and at tiny distances. */
static double chord(double ra1, double dec1, double ra2, double dec2)
{
    const double s = sin(0.5 * (dec1 - dec2) * degree), t = sin(0.5 * (ra1 - ra2) * degree);
    return 4 * (s * s + cos(dec1 * degree) * cos(dec2 * degree) * t * t);
}

/* Gives the row to the positions that it is the nearest to so far; returns whether there are any. */
static bool offer(Position *p, int64_t n, double ra, double dec, double arcsec, int64_t row)
{
    const double reach = arcsec / 3600, most = (reach * degree) * (reach * degree);
    int64_t low = 0, high = n;
    bool taken = false;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (p[middle].dec < dec - 1.001 * reach)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < n && p[low].dec <= dec + 1.001 * reach; low++) {
        const double c = chord(ra, dec, p[low].ra, p[low].dec);
        if (c > most || c >= p[low].nearest) continue;
        p[low].nearest = c;
        p[low].row = row;
        taken = true;
    }
    return taken;
}

/* ---- the table ---- */

typedef struct {
    VoteRow *row;
    int64_t n, capacity;
} Kept;

static Status keep(Kept *k, const Reader *r, int64_t order, Arena *a)
{
    if (k->n == k->capacity) {
        VoteRow *more;
        k->capacity = k->capacity ? 2 * k->capacity : 256;
        TRY(arena_new(&more, a, k->capacity));
        if (k->n) memcpy(more, k->row, (size_t)k->n * sizeof *more);
        k->row = more;
    }
    VoteRow *out = &k->row[k->n++];
    out->order = order;
    for (int q = 0; q < N_VOTE_QUESTIONS; q++) {
        out->total[q] = (float)r->value[place(q, -1)];
        for (int s = 0; s < vote_questions[q].n_answers; s++) out->share[q][s] = (float)r->value[place(q, s)];
    }
    return OK;
}

static Status read_table(Kept *kept, VoteCounts *counts, Position *p, int64_t n, FILE *f, Reader *r, double arcsec,
                         double min_votes, Arena *a)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    Status st = OK;
    for (r->line = 1; st == OK && (length = getline(&line, &room, f)) >= 0; r->line++) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) line[--length] = '\0';
        if (r->line == 1) {
            st = read_head(r, line);
            continue;
        }
        if (length == 0) continue;
        st = read_line(r, line);
        if (st != OK) break;
        counts->rows++;
        const double ra = r->value[0], dec = r->value[1], votes = r->value[place(0, -1)];
        if (!(votes >= min_votes)) {
            counts->few++;
            continue;
        }
        const int64_t order = counts->kept++;
        if (!isfinite(ra) || !(fabs(dec) <= 90))
            counts->bad_position++;
        else if (offer(p, n, ra, dec, arcsec, kept->n))
            st = keep(kept, r, order, a);
    }
    if (st == OK && r->line == 1) st = FAIL(E_INPUT, "%s is empty", r->path);
    if (st == OK && ferror(f)) st = FAIL(E_INPUT, "%s cannot be read: %s", r->path, strerror(errno));
    free(line);
    return st;
}

Status votes_match(VoteRow **out, int64_t *match, VoteCounts *counts, const char *path, const double *ra,
                   const double *dec, int64_t n, double arcsec, double min_votes, Arena *a)
{
    Reader r = {.path = path};
    Kept kept = {0};
    Position *p;
    int64_t m = 0;
    *counts = (VoteCounts){0};
    TRY(arena_new(&p, a, n));
    for (int64_t i = 0; i < n; i++) {
        match[i] = -1;
        if (isfinite(ra[i]) && isfinite(dec[i])) p[m++] = (Position){ra[i], dec[i], i, INFINITY, -1};
    }
    qsort(p, (size_t)m, sizeof *p, by_dec);
    FILE *f = fopen(path, "r");
    if (!f) return FAIL(E_INPUT, "cannot open %s: %s (probe.morphology.votes)", path, strerror(errno));
    const Status st = read_table(&kept, counts, p, m, f, &r, arcsec, min_votes, a);
    fclose(f);
    for (int64_t i = 0; i < m; i++) match[p[i].index] = p[i].row;
    *out = kept.row;
    return st;
}
