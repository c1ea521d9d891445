/* csv.h - the CSV files that stages of ours write: names in the first line, cells without commas or quotes. Local. */
#ifndef TABLES_CSV_H
#define TABLES_CSV_H

#include <stdbool.h>
#include <stdio.h>

enum { CSV_CELLS = 64, CSV_LINE = 4096 };

typedef struct {
    FILE *file;
    char names[CSV_LINE], line[CSV_LINE];
    char *name[CSV_CELLS], *cell[CSV_CELLS];
    int n_names, n_cells;
} Csv;

/* False where there is no such file, or nothing in it. while (csv_next(&c)) ...; csv_close(&c). */
bool csv_open(Csv *c, const char *path);
bool csv_next(Csv *c); /* the next row */
void csv_close(Csv *c);

/* A cell of the row in hand, "" where there is none; as a number, NaN where it is none. */
const char *csv_text(const Csv *c, const char *column);
double csv_number(const Csv *c, const char *column);
bool csv_is(const Csv *c, const char *column, const char *text);

#endif
