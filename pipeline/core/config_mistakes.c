/* config_mistakes.c - the list of what is wrong with a run file, names that are nearly right, and the one message at
   the end. */
#include "config_impl.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void config_mistake(Mistakes *m, Place place, const char *format, ...)
{
    if (m->n < MISTAKES_SHOWN) {
        Mistake *item = &m->item[m->n];
        item->place = place;
        item->order = m->n;
        va_list args;
        va_start(args, format);
        vsnprintf(item->text, sizeof item->text, format, args);
        va_end(args);
    }
    m->n++;
}

Shown config_shown(const char *text)
{
    Shown s;
    size_t n = 0;
    for (; text[n] && n + 1 < sizeof s.text; n++) s.text[n] = iscntrl((unsigned char)text[n]) ? '?' : text[n];
    if (text[n]) {
        n -= 3;
        while ((text[n] & 0xc0) == 0x80) n--; /* not through the middle of a character */
        memcpy(s.text + n, "...", 3);
        n += 3;
    }
    s.text[n] = '\0';
    return s;
}

/* ---- names that are nearly right ---- */

enum { NAME_MAX_COMPARED = 40 };

/* Optimal string alignment: insertions, deletions, substitutions, swapped neighbours. */
static int edit_distance(const char *a, const char *b)
{
    int n_a = (int)strlen(a), n_b = (int)strlen(b), row[3][NAME_MAX_COMPARED + 1];
    if (n_a > NAME_MAX_COMPARED || n_b > NAME_MAX_COMPARED) return INT_MAX;
    for (int j = 0; j <= n_b; j++) row[0][j] = j;
    for (int i = 1; i <= n_a; i++) {
        int *now = row[i % 3], *above = row[(i + 2) % 3], *two_above = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n_b; j++) {
            int best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best) best = above[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two_above[j - 2] + 1 < best)
                best = two_above[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n_a % 3][n_b];
}

/* A third of the letters may differ, one at least. */
Nearest config_nearest_to(const char *wanted)
{
    int allowed = (int)strlen(wanted) / 3;
    return (Nearest){.wanted = wanted, .distance = (allowed > 1 ? allowed : 1) + 1};
}

void config_nearest_offer(Nearest *n, const char *name)
{
    int distance = edit_distance(n->wanted, name);
    if (distance >= n->distance) return;
    n->distance = distance;
    n->name = name;
}

void config_unknown(Mistakes *m, const ConfigNode *node, const char *what, Nearest n)
{
    Place place = node->key_place;
    if (n.name)
        config_mistake(m, place, "unknown %s '%s', did you mean '%s'?", what, config_shown(node->key).text, n.name);
    else
        config_mistake(m, place, "unknown %s '%s'", what, config_shown(node->key).text);
}

/* ---- the message ---- */

static int by_place(const void *a, const void *b)
{
    const Mistake *x = a, *y = b;
    int class_x = x->place.origin ? 2 : x->place.line == 0, class_y = y->place.origin ? 2 : y->place.line == 0;
    if (class_x != class_y) return class_x - class_y;
    if (x->place.line != y->place.line) return x->place.line < y->place.line ? -1 : 1;
    if (x->place.column != y->place.column) return x->place.column < y->place.column ? -1 : 1;
    return x->order - y->order;
}

static void print_place(char *out, size_t size, const char *name, Place p)
{
    if (p.origin)
        snprintf(out, size, "%s", p.origin);
    else if (p.line)
        snprintf(out, size, "%.300s:%d:%d", name, p.line, p.column);
    else
        snprintf(out, size, "%.300s", name);
}

/* In the order of the file, then those of the command line. */
Status config_report(Mistakes *m)
{
    char text[FAIL_TEXT - 32], at[340]; /* leaves room for "and N more" */
    int shown = m->n < MISTAKES_SHOWN ? m->n : MISTAKES_SHOWN, i = 0;
    qsort(m->item, (size_t)shown, sizeof m->item[0], by_place);
    int used = snprintf(text, sizeof text, "%d mistake%s in %.300s", m->n, m->n == 1 ? "" : "s", m->name);
    for (; i < shown; i++) {
        print_place(at, sizeof at, m->name, m->item[i].place);
        int room = (int)sizeof text - used;
        int length = snprintf(text + used, (size_t)room, "\n  %s: %s", at, m->item[i].text);
        if (length >= room) break;
        used += length;
    }
    text[used] = '\0'; /* drops a line that did not fit */
    if (i == m->n) return FAIL(E_CONFIG, "%s", text);
    return FAIL(E_CONFIG, "%s\n  and %d more", text, m->n - i);
}
