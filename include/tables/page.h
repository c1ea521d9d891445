/* page.h - a static HTML page of sections, tables and figures beside the files that it shows. What is written is escaped.
   No script, no network, light and dark, readable on a phone. A failed write is told by page_close. Local. */
#ifndef TABLES_PAGE_H
#define TABLES_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/fail.h"
#include "core/hash.h"

typedef struct {
    FILE *file;
    const char *folder; /* of the page and its files; borrowed */
    char path[1024];    /* folder/index.html */
    bool begun;         /* the landmark <main> is open */
    int sections;       /* so far */
    const char
        *row_class; /* of the rows that follow; NULL = none. "run": says when and how fast, differs from run to run */
} Page;

/* The fingerprint stands in the page; page_is reads it back. */
Status page_open(Page *p, const char *folder, const char *title, const Fingerprint *fingerprint);
Status page_close(Page *p); /* twice-safe */
bool page_is(const char *path, const Fingerprint *fingerprint);

/* Links to the sections of these titles (NULL-terminated), which page_section writes; beneath a section h3, then h4. */
void page_contents(Page *p, const char *const *titles);
void page_section(Page *p, const char *title);
void page_heading(Page *p, int level, const char *title);
void page_details(Page *p, const char *summary, const char *text); /* folded away; lines of class "run" */
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
/* A row of small square pictures of `size` pixels that scrolls sideways where it is too long; first_asks: the first one
   is framed. `file` NULL = there is none. */
void page_strip(Page *p, const char *label, bool first_asks);
void page_thumb(Page *p, const char *file, int size, const char *caption, const char *alt);
void page_strip_end(Page *p);

#endif
