/* page.h - a static HTML page of sections, tables and figures beside the files that it shows. What is written is escaped.
   No script, no network, light and dark, readable on a phone. A failed write is told by page_close. Local. */
#ifndef TABLES_PAGE_H
#define TABLES_PAGE_H

#include <stdint.h>
#include <stdio.h>

#include "core/fail.h"
#include "core/hash.h"

typedef struct {
    FILE *file;
    const char *folder; /* of the page and its files; borrowed */
    char path[1024];    /* folder/index.html */
} Page;

/* The fingerprint stands in the page; page_is reads it back. */
Status page_open(Page *p, const char *folder, const char *title, const Fingerprint *fingerprint);
Status page_close(Page *p); /* twice-safe */
bool page_is(const char *path, const Fingerprint *fingerprint);

void page_section(Page *p, const char *title);
void page_text(Page *p, const char *format, ...) __attribute__((format(printf, 2, 3))); /* a paragraph */

/* Cells are separated by tabs; `head` says how many a row has. Cells that are numbers stand to the right. */
void page_table(Page *p, const char *caption, const char *head);
void page_row(Page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void page_table_end(Page *p);

/* A file of the folder; `alt` says in words what it shows, `data` names the file with its numbers, NULL = none. */
void page_figure(Page *p, const char *file, int width, int height, const char *caption, const char *alt,
                 const char *data);
void page_gallery(Page *p); /* figures up to its end stand side by side */
void page_gallery_end(Page *p);

#endif
