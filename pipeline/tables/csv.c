/* csv.c - lines and cells. */
#include "tables/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int split(char *cell[CSV_CELLS], char *line)
{
    int n = 0;
    line[strcspn(line, "\r\n")] = 0;
    for (char *next = line; next && n < CSV_CELLS; n++) {
        cell[n] = next;
        next = strchr(next, ',');
        if (next) *next++ = 0;
    }
    return n;
}

bool csv_open(Csv *c, const char *path)
{
    c->file = fopen(path, "r");
    c->n_names = c->n_cells = 0;
    if (!c->file) return false;
    if (fgets(c->names, sizeof c->names, c->file)) {
        c->n_names = split(c->name, c->names);
        return true;
    }
    csv_close(c);
    return false;
}

bool csv_next(Csv *c)
{
    if (!fgets(c->line, sizeof c->line, c->file)) return false;
    c->n_cells = split(c->cell, c->line);
    return true;
}

void csv_close(Csv *c)
{
    if (c->file) fclose(c->file);
    c->file = NULL;
}

const char *csv_text(const Csv *c, const char *column)
{
    for (int i = 0; i < c->n_names && i < c->n_cells; i++)
        if (strcmp(c->name[i], column) == 0) return c->cell[i];
    return "";
}

double csv_number(const Csv *c, const char *column)
{
    char *end;
    const char *text = csv_text(c, column);
    const double x = strtod(text, &end);
    return *text && !*end ? x : NAN;
}

bool csv_is(const Csv *c, const char *column, const char *text) { return strcmp(csv_text(c, column), text) == 0; }
