/* page.c - HTML. */
#include "tables/page.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light "
    "dark;--ink:#1c2024;--soft:#5b6570;--line:#d5dae0;--paper:#fff;--tint:#f3f5f8;--link:#1d4f91}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa5b1;--line:#3a424b;--paper:#15181b;--tint:#"
    "1e2328;"
    "--link:#8ab8f0}}"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:72rem;margin:auto;"
    "padding:1rem}p,h3,h4,figcaption{overflow-wrap:break-word}"
    "a{color:var(--link)}:focus-visible{outline:2px solid var(--link);outline-offset:2px}"
    "h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.5rem;border-bottom:1px solid var(--line)}"
    "h3{font-size:1.05rem;margin:2rem 0 .5rem}h4{font-size:.95rem;margin:1rem 0 .3rem;color:var(--soft)}"
    "nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1rem;list-style:none;padding:.5rem .8rem;margin:0;"
    "background:var(--tint);border-radius:6px}"
    ".skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.3rem .6rem}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0}"
    "@media(max-width:44rem){table{width:max-content;max-width:60rem}caption{max-width:calc(100vw - 2rem)}}"
    "caption{text-align:left;color:var(--soft);padding-bottom:.3rem}"
    "th,td{padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}"
    "th[scope=row]{font-weight:normal}td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    "figure{margin:1rem 0}@media(max-width:44rem){figure.wide "
    "img{max-width:none;width:54rem}}figcaption{color:var(--soft);font-size:.875rem}"
    "img{max-width:100%;height:auto;border-radius:4px}"
    /* Plots are drawn for light paper: dark becomes light, colours stay what they are. */
    "@media(prefers-color-scheme:dark){img[src$='.svg']{filter:invert(.92) hue-rotate(180deg)}}"
    "details{margin:1rem 0}summary{cursor:pointer}pre{overflow-x:auto;background:var(--tint);padding:.8rem;"
    "border-radius:6px;font-size:.8rem}"
    ".strip{display:flex;gap:.6rem;overflow-x:auto;padding:.2rem 0 .4rem;list-style:none;margin:0}.strip "
    "figure{margin:0}"
    ".strip li{flex:none;width:104px}.strip figcaption{font-size:.75rem;line-height:1.3}"
    ".asks li:first-child img{outline:2px solid var(--link)}"
    ".none{display:grid;place-items:center;width:104px;height:104px;background:var(--tint);border-radius:4px;"
    "color:var(--soft);font-size:.75rem}"
    ".gallery{display:flex;flex-wrap:wrap;gap:.75rem}.gallery figure{margin:0;max-width:100%}"
    "@media(min-width:60rem){.gallery figure{max-width:calc(50% - .4rem)}}"
    "@media print{nav,.skip{display:none}}";

static void put(Page *p, const char *text)
{
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '<')
            fputs("&lt;", p->file);
        else if (c == '>')
            fputs("&gt;", p->file);
        else if (c == '&')
            fputs("&amp;", p->file);
        else if (c == '"')
            fputs("&quot;", p->file);
        else if (c >= ' ' || c == '\n' || c == '\t') /* HTML knows no other control characters */
            fputc(c, p->file);
    }
}

Status page_open(Page *p, const char *folder, const char *title, const Fingerprint *fingerprint)
{
    p->folder = folder;
    if (snprintf(p->path, sizeof p->path, "%s/index.html", folder) >= (int)sizeof p->path)
        return FAIL(E_OUTPUT, "the path %.200s... is too long", folder);
    p->file = fopen(p->path, "w");
    if (!p->file) return FAIL(E_OUTPUT, "%s cannot be written: %s", p->path, strerror(errno));
    fprintf(p->file,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"fingerprint\" content=\"%s\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
            fingerprint->text);
    put(p, title);
    fprintf(p->file,
            "</title>\n<style>%s</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n"
            "<header><h1>",
            style);
    put(p, title);
    fputs("</h1></header>\n", p->file);
    return OK;
}

/* Everything that is shown lies in the landmark <main>. */
static void begin_main(Page *p)
{
    if (!p->begun) fputs("<main id=\"main\">\n", p->file);
    p->begun = true;
}

Status page_close(Page *p)
{
    if (!p->file) return OK;
    begin_main(p);
    if (p->sections) fputs("</section>\n", p->file);
    fputs("</main>\n</body>\n</html>\n", p->file);
    bool good = !ferror(p->file);
    if (fclose(p->file) != 0) good = false;
    p->file = NULL;
    return good ? OK : FAIL(E_OUTPUT, "%s cannot be written: %s", p->path, strerror(errno));
}

bool page_is(const char *path, const Fingerprint *fingerprint)
{
    char text[512] = "", wanted[128];
    FILE *f = fopen(path, "r");
    if (!f) return false;
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    snprintf(wanted, sizeof wanted, "name=\"fingerprint\" content=\"%s\"", fingerprint->text);
    return strstr(text, wanted) != NULL;
}

/* Letters and digits of a title; what is between them is a hyphen. */
static void put_id(Page *p, const char *title)
{
    for (; *title; title++) fputc(isalnum((unsigned char)*title) ? tolower((unsigned char)*title) : '-', p->file);
}

void page_contents(Page *p, const char *const *titles)
{
    fputs("<nav aria-label=\"Sections\"><ul>\n", p->file);
    for (; *titles; titles++) {
        fputs("<li><a href=\"#", p->file);
        put_id(p, *titles);
        fputs("\">", p->file);
        put(p, *titles);
        fputs("</a></li>\n", p->file);
    }
    fputs("</ul></nav>\n", p->file);
}

void page_section(Page *p, const char *title)
{
    begin_main(p);
    fputs(p->sections++ ? "</section>\n<section aria-labelledby=\"" : "<section aria-labelledby=\"", p->file);
    put_id(p, title);
    fputs("\"><h2 id=\"", p->file);
    put_id(p, title);
    fputs("\">", p->file);
    put(p, title);
    fputs("</h2>\n", p->file);
}

void page_heading(Page *p, int level, const char *title)
{
    fprintf(p->file, "<h%d>", level);
    put(p, title);
    fprintf(p->file, "</h%d>\n", level);
}

void page_details(Page *p, const char *summary, const char *text)
{
    fputs("<details><summary>", p->file);
    put(p, summary);
    fputs("</summary><pre tabindex=\"0\">", p->file);
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        char copy[1024];
        snprintf(copy, sizeof copy, "%.*s", (int)strcspn(line, "\n"), line);
        fputs("<span class=\"run\">", p->file);
        put(p, copy);
        fputs("</span>\n", p->file);
    }
    fputs("</pre></details>\n", p->file);
}

void page_text(Page *p, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    begin_main(p);
    fputs("<p>", p->file);
    put(p, text);
    fputs("</p>\n", p->file);
}

/* ---- tables ---- */

static bool is_number(const char *text)
{
    char *end;
    strtod(text, &end);
    return *text && (*end == 0 || strcmp(end, " %") == 0);
}

/* The first cell of a row says what the row is about. */
static void put_cells(Page *p, char *cells, bool head)
{
    if (p->row_class && !head)
        fprintf(p->file, "<tr class=\"%s\">", p->row_class);
    else
        fputs("<tr>", p->file);
    for (char *cell = cells, *next; cell; cell = next) {
        const bool names = head || cell == cells;
        next = strchr(cell, '\t');
        if (next) *next++ = 0;
        if (names)
            fprintf(p->file, "<th scope=\"%s\">", head ? "col" : "row");
        else
            fputs(is_number(cell) ? "<td class=\"n\">" : "<td>", p->file);
        put(p, cell);
        fputs(names ? "</th>" : "</td>", p->file);
    }
    fputs("</tr>\n", p->file);
}

void page_table(Page *p, const char *caption, const char *head)
{
    char cells[1024];
    snprintf(cells, sizeof cells, "%s", head);
    fputs("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"", p->file); /* scrolls by keyboard, too */
    put(p, caption);
    fputs("\"><table>\n<caption>", p->file);
    put(p, caption);
    fputs("</caption>\n<thead>", p->file);
    put_cells(p, cells, true);
    fputs("</thead>\n<tbody>\n", p->file);
}

void page_row(Page *p, const char *format, ...)
{
    char cells[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(cells, sizeof cells, format, args);
    va_end(args);
    put_cells(p, cells, false);
}

void page_table_end(Page *p) { fputs("</tbody>\n</table></div>\n", p->file); }

/* ---- figures ---- */

enum { WIDE = 1000 }; /* pixels: too much for a phone to show as a whole */

void page_figure(Page *p, const char *file, int width, int height, const char *caption, const char *alt,
                 const char *data)
{
    fputs(width > WIDE ? "<figure class=\"wide\" tabindex=\"0\">" : "<figure>",
          p->file); /* scrolls where it is too wide */
    fputs("<img loading=\"lazy\" src=\"", p->file);
    put(p, file);
    fprintf(p->file, "\" width=\"%d\" height=\"%d\" alt=\"", width, height);
    put(p, alt);
    fputs("\">\n<figcaption>", p->file);
    put(p, caption);
    if (data) {
        fputs(" <a href=\"", p->file);
        put(p, data);
        fputs("\">numbers</a>", p->file);
    }
    fputs("</figcaption></figure>\n", p->file);
}

void page_strip(Page *p, const char *label, bool first_asks)
{
    fprintf(p->file, "<ul class=\"strip%s\" tabindex=\"0\" aria-label=\"", first_asks ? " asks" : "");
    put(p, label);
    fputs("\">\n", p->file);
}

void page_thumb(Page *p, const char *file, int size, const char *caption, const char *alt)
{
    fputs("<li><figure>", p->file);
    if (file) {
        fputs("<img loading=\"lazy\" src=\"", p->file);
        put(p, file);
        fprintf(p->file, "\" width=\"%d\" height=\"%d\" alt=\"", size, size);
        put(p, alt);
        fputs("\">", p->file);
    } else {
        fputs("<span class=\"none\">no image</span>", p->file);
    }
    fputs("<figcaption>", p->file);
    put(p, caption);
    fputs("</figcaption></figure></li>\n", p->file);
}

void page_strip_end(Page *p) { fputs("</ul>\n", p->file); }

void page_gallery(Page *p) { fputs("<div class=\"gallery\">\n", p->file); }
void page_gallery_end(Page *p) { fputs("</div>\n", p->file); }
