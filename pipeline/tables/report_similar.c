/* report_similar.c - queries of matches.fits and whom they found, in every direction: pictures and spectra. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tables/matches.h"
#include "tables/objects.h"
#include "tables/plot.h"

enum { MOST = 9 }; /* matches shown of a query in a direction */

static bool applies(const Report *r) { return r->config->queries > 0 && report_has(r, "matches.fits"); }

/* The matches of one query in one direction. */
static int matches_of(const MatchRow **out, const Matches *m, int64_t query, int direction)
{
    int n = 0;
    for (int64_t i = 0; i < m->n && n < MOST; i++)
        if (m->match[i].query == query && m->match[i].direction == direction) out[n++] = &m->match[i];
    return n;
}

static Status write_numbers(const Page *p, const Matches *m)
{
    FILE *f;
    TRY(plot_data(&f, p, "matches", "direction,query,rank,score,targetid,z,separation_arcsec"));
    for (int64_t i = 0; i < m->n; i++) {
        const MatchRow *one = &m->match[i];
        fprintf(f, "%s,%" PRId64 ",%" PRId64 ",%.6f,%" PRId64, direction_table[one->direction].name, one->query,
                one->rank, one->score, one->key.targetid);
        fprintf(f, isfinite(one->key.z) ? ",%.5f" : ",", one->key.z);
        fprintf(f, isfinite(one->separation) ? ",%.2f\n" : ",\n", one->separation);
    }
    return plot_data_end(f, p, "matches");
}

static Status write_direction(Page *p, const Objects *o, const Matches *m, int64_t query, int direction)
{
    const DirectionRow *d = &direction_table[direction];
    const Query *q = &m->query[query];
    const MatchRow *match[MOST];
    int64_t place[MOST + 1];
    char label[MOST + 1][48], caption[160], name[64];
    const int n = matches_of(match, m, query, direction);
    if (n == 0) return OK;
    place[0] = objects_find(o, q->key.row);
    snprintf(caption, sizeof caption, "%s to %s", modality_name[d->from], modality_name[d->to]);
    page_heading(p, 4, caption);
    snprintf(caption, sizeof caption, "The query and its %d nearest, %s to %s", n, modality_name[d->from],
             modality_name[d->to]);
    page_strip(p, caption, true);
    snprintf(label[0], sizeof *label, "query, %s", objects_redshift(q->key.z).text);
    snprintf(caption, sizeof caption, "query (%s) %s", modality_name[d->from], objects_redshift(q->key.z).text);
    objects_thumb(p, o, place[0], caption);
    for (int k = 0; k < n; k++) {
        place[k + 1] = objects_find(o, match[k]->key.row);
        snprintf(label[k + 1], sizeof *label, "%d  %.3f, %s", k + 1, match[k]->score,
                 objects_redshift(match[k]->key.z).text);
        if (match[k]->key.row == q->key.row || match[k]->key.targetid == q->key.targetid)
            snprintf(caption, sizeof caption, "%d: the same object%s, cosine %.3f", k + 1,
                     match[k]->key.row == q->key.row ? "" : " in another program", match[k]->score);
        else
            snprintf(caption, sizeof caption, "%d: cosine %.3f %s", k + 1, match[k]->score,
                     objects_redshift(match[k]->key.z).text);
        objects_thumb(p, o, place[k + 1], caption);
    }
    page_strip_end(p);
    snprintf(name, sizeof name, "similar-%" PRId64 "-%s", query, d->name);
    snprintf(caption, sizeof caption, "Their spectra, the query's on top; beside them cosine and redshift. %s to %s.",
             modality_name[d->from], modality_name[d->to]);
    return objects_traces(p, o, place, (const char(*)[48])label, n + 1, name, caption);
}

static Status write_query(Page *p, const Objects *o, const Matches *m, int64_t query)
{
    const Query *q = &m->query[query];
    char title[256], flags[128] = "";
    for (const QueryFlagRow *row = query_flag_table; row->bit; row++)
        if (q->flag & row->bit) snprintf(flags + strlen(flags), sizeof flags - strlen(flags), " %s", row->name);
    snprintf(title, sizeof title, "%s%s%s", q->asked, flags[0] ? ":" : "", flags);
    page_heading(p, 3, title);
    if (q->flag & QUERY_NOT_FOUND) page_text(p, "No row of the catalogue is what was asked for.");
    for (int d = 0; d < N_DIRECTIONS; d++) TRY(write_direction(p, o, m, query, d));
    return OK;
}

static Status write(Page *p, const Report *r)
{
    Matches m;
    Objects o;
    Catalog c = {0};
    char *path;
    int64_t *number = NULL, n = 0;
    Status st = OK;
    TRY(report_path(&path, r, "matches.fits"));
    TRY(matches_read(&m, path, r->config->queries, r->arena));
    TRY(arena_new(&number, r->arena, m.n + m.n_queries));
    for (int64_t i = 0; i < m.n_queries; i++) number[n++] = m.query[i].key.row;
    for (int64_t i = 0; i < m.n; i++)
        if (m.match[i].rank <= MOST) number[n++] = m.match[i].key.row;
    TRY(report_path(&path, r, "catalog.h5"));
    TRY_DONE(catalog_open(&c, path, NULL, r->arena));
    TRY_DONE(objects_read(&o, p, r, &c, number, n));
    page_text(p, "Nearest by the cosine of their embeddings, the query framed. Where image and spectrum are compared, "
                 "the query's "
                 "own partner may be among the matches. Numbers: matches.csv; all of them: matches.fits of the run.");
    for (int d = 0; d < N_DIRECTIONS; d++)
        if (isfinite(m.recall[d]))
            page_text(
                p,
                "An index (%s) chose the candidates: %s finds %.1f %% of the exact matches, as measured on a sample of "
                "the queries.",
                m.index, direction_table[d].name, 100 * m.recall[d]);
    TRY_DONE(write_numbers(p, &m));
    for (int64_t i = 0; i < m.n_queries; i++) TRY_DONE(write_query(p, &o, &m, i));
done:
    catalog_close(&c);
    return st;
}

const ReportSection report_similar = {"Similar objects", applies, write};
