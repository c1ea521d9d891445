/* lines.h - lines that spectra are marked with. */
#ifndef TABLES_LINES_H
#define TABLES_LINES_H

enum { N_LINES = 11 };
typedef struct {
    const char *name; /* Greek letters in UTF-8 */
    double rest;      /* vacuum wavelength at rest, Angstrom */
} LineRow;
extern const LineRow line_table[N_LINES];

#endif
