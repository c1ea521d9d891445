/* plot.h - plots by gnuplot, as SVG, from CSV files that stay beside them. Drawn for light paper, without a background: a dark page
   turns them (page.c). Local. */
#ifndef TABLES_PLOT_H
#define TABLES_PLOT_H

#include <stdio.h>

#include "tables/page.h"

enum { PLOT_WIDTH = 520, PLOT_WIDE = 1120, PLOT_HEIGHT = 400 };

/* FOLDER/NAME.csv with its first line, the names of the columns. plot_end closes it and tells a failed write. */
Status plot_data(FILE **out, const Page *p, const char *name, const char *head);
Status plot_data_end(FILE *f, const Page *p, const char *name);

/* Draws FOLDER/NAME.svg by gnuplot commands that read the CSV files of the folder by name, and shows it with `caption`;
   DATA.csv has its numbers. Where there is no gnuplot, or it fails, the page names the numbers instead. */
Status plot_draw(Page *p, const char *name, const char *data, int width, const char *commands, const char *caption,
                 const char *alt);

#endif
