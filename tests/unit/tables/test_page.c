/* The page: what comes from files is text in it, never markup; plots that can and cannot be drawn. */
#include "tables/page.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tables/plot.h"
#include "test_main.h"

static const Fingerprint fingerprint = {"0123456789abcdef"};

/* A page in a folder of its own. */
static Page page_in(const char *name)
{
    static char folder[512];
    Page p = {0};
    snprintf(folder, sizeof folder, "%s/%s", test_folder(), name);
    CU_ASSERT_FATAL(mkdir(folder, 0777) == 0);
    CHECK_OK(page_open(&p, folder, "A <title> & more", &fingerprint));
    return p;
}

/* Closes the page and says what it holds. */
static const char *text_of(Page *p)
{
    static char text[1 << 16];
    CHECK_OK(page_close(p));
    FILE *f = fopen(p->path, "r");
    CU_ASSERT_FATAL(f != NULL);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static bool has(const char *text, const char *part) { return strstr(text, part) != NULL; }

static void text_is_never_markup(void)
{
    Page p = page_in("escape");
    page_section(&p, "<h1>");
    page_text(&p, "%s", "a < b & c > \"d\" <script>alert(1)</script>\x01");
    page_table(&p, "<b>", "one\ttwo");
    page_row(&p, "%s\t%s", "<i>", "\"&\"");
    page_table_end(&p);
    page_figure(&p, "a\"b.png", 1, 2, "<u>", "\" onerror=\"alert(1)", "x\"y.csv");
    const char *text = text_of(&p);
    CU_ASSERT(has(text, "A &lt;title&gt; &amp; more"));
    CU_ASSERT(has(text, "a &lt; b &amp; c &gt; &quot;d&quot; &lt;script&gt;alert(1)&lt;/script&gt;</p>"));
    CU_ASSERT(has(text, "alt=\"&quot; onerror=&quot;alert(1)\""));
    CU_ASSERT(has(text, "href=\"x&quot;y.csv\""));
    for (const char *const *bad = (const char *const[]){"<script", "<h1><", "<b>", "<i>", "<u>", "\x01", NULL}; *bad;
         bad++)
        CU_ASSERT_FALSE(has(text, *bad));
}

static void sections_can_be_jumped_to_and_stand_in_one_landmark(void)
{
    Page p = page_in("sections");
    page_contents(&p, (const char *const[]){"On the <sky>", "Maps", NULL});
    page_section(&p, "On the <sky>");
    page_heading(&p, 3, "<h3>");
    page_details(&p, "more", "a: 1\nb: <2>\n");
    page_section(&p, "Maps");
    page_strip(&p, "a \"strip\"", true);
    page_thumb(&p, "a.png", 10, "<c>", "\"alt\"");
    page_thumb(&p, NULL, 10, "none", "");
    page_strip_end(&p);
    const char *text = text_of(&p);
    CU_ASSERT(has(text, "<a href=\"#on-the--sky-\">On the &lt;sky&gt;</a>") && has(text, "<h2 id=\"on-the--sky-\">"));
    CU_ASSERT(has(text, "<h3>&lt;h3&gt;</h3>") && has(text, "<span class=\"run\">b: &lt;2&gt;</span>\n"));
    CU_ASSERT(has(text, "aria-label=\"a &quot;strip&quot;\"") && has(text, "alt=\"&quot;alt&quot;\"") &&
              has(text, "no image"));
    int sections = 0, ends = 0, mains = 0;
    for (const char *c = text; (c = strstr(c, "<section")); c++) sections++;
    for (const char *c = text; (c = strstr(c, "</section>")); c++) ends++;
    for (const char *c = text; (c = strstr(c, "<main")); c++) mains++;
    CU_ASSERT(sections == 2 && ends == 2 && mains == 1 && has(text, "</main>"));
}

static void rows_that_tell_of_a_run_are_marked(void)
{
    Page p = page_in("run");
    page_table(&p, "t", "a\tb");
    p.row_class = "run";
    page_row(&p, "x\t1");
    p.row_class = NULL;
    page_row(&p, "y\t2");
    page_table_end(&p);
    const char *text = text_of(&p);
    CU_ASSERT(has(text, "<tr class=\"run\"><th scope=\"row\">x") && has(text, "<tr><th scope=\"row\">y") &&
              has(text, "<tr><th scope=\"col\">a"));
}

static void tables_name_their_columns_and_align_numbers(void)
{
    Page p = page_in("table");
    page_table(&p, "What it is", "name\tn");
    page_row(&p, "%s\t%d", "rows", 12);
    page_row(&p, "%s\t%s", "", "");
    page_table_end(&p);
    const char *text = text_of(&p);
    CU_ASSERT(has(text, "<caption>What it is</caption>"));
    CU_ASSERT(has(text, "<th scope=\"col\">name</th><th scope=\"col\">n</th>"));
    CU_ASSERT(has(text, "<td class=\"n\">12</td>"));
}

static void nothing_comes_from_the_network(void)
{
    Page p = page_in("network");
    page_figure(&p, "one.svg", 10, 10, "One", "One in words", NULL);
    const char *text = text_of(&p);
    for (const char *const *bad = (const char *const[]){"http:", "https:", "src=\"/", "url(", "@import", NULL}; *bad;
         bad++)
        CU_ASSERT_FALSE(has(text, *bad));
    CU_ASSERT(has(text, "prefers-color-scheme:dark") && has(text, "name=\"viewport\"") && has(text, "lang=\"en\""));
}

static void a_page_knows_its_fingerprint(void)
{
    static const Fingerprint other = {"0123456789abcdee"};
    Page p = page_in("fingerprint");
    CHECK_OK(page_close(&p));
    CHECK_OK(page_close(&p));
    CU_ASSERT(page_is(p.path, &fingerprint));
    CU_ASSERT_FALSE(page_is(p.path, &other));
    CU_ASSERT_FALSE(page_is("nowhere/index.html", &fingerprint));
}

static void a_folder_that_is_not_there_is_an_error(void)
{
    Page p = {0};
    CHECK_FAILS(page_open(&p, "/nowhere/at/all", "A title", &fingerprint), E_OUTPUT);
    CHECK_OK(page_close(&p));
}

/* ---- plots ---- */

static void write_numbers(const Page *p, const char *name)
{
    FILE *f = NULL;
    CHECK_OK(plot_data(&f, p, name, "x,y"));
    fputs("1,2\n2,4\n", f);
    CHECK_OK(plot_data_end(f, p, name));
}

static bool there(const Page *p, const char *name)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", p->folder, name);
    return access(path, R_OK) == 0;
}

static const char commands[] = "plot 'line-1.csv' skip 1 using 1:2 with lines title 'a line'";

static void without_gnuplot_the_page_names_the_numbers(void)
{
    char *path = strdup(getenv("PATH"));
    Page p = page_in("no-gnuplot");
    write_numbers(&p, "line-1");
    setenv("PATH", test_folder(), 1);
    CHECK_OK(plot_draw(&p, "line-1", "line-1", PLOT_WIDTH, commands, "A line", "A line in words"));
    setenv("PATH", path, 1);
    free(path);
    CU_ASSERT_FALSE(there(&p, "line-1.svg"));
    const char *text = text_of(&p);
    CU_ASSERT(has(text, "gnuplot is not there") && has(text, "line-1.csv"));
    CU_ASSERT_FALSE(has(text, "<img"));
}

/* A job that is told to stop would else leave a finished page without its plots. */
static void a_gnuplot_that_is_killed_is_an_error_and_the_signal_reaches_nobody_else(void)
{
    char name[600], *path = strdup(getenv("PATH"));
    Page p = page_in("killed");
    write_numbers(&p, "line-1");
    snprintf(name, sizeof name, "%s/gnuplot", p.folder);
    FILE *f = fopen(name, "w");
    CU_ASSERT_FATAL(f != NULL);
    fputs("#!/bin/sh\nkill -TERM 0\nsleep 5\n", f); /* 0: all of its process group */
    fclose(f);
    CU_ASSERT_FATAL(chmod(name, 0755) == 0);
    snprintf(name, sizeof name, "%s:%s", p.folder, path);
    setenv("PATH", name, 1);
    CHECK_FAILS(plot_draw(&p, "line-1", "line-1", PLOT_WIDTH, commands, "A line", "A line in words"), E_OUTPUT);
    setenv("PATH", path, 1);
    free(path);
    CHECK_OK(page_close(&p));
}

/* A start file of the user's would change the plots, or end gnuplot. */
static void a_plot_is_drawn_whatever_the_user_set_for_gnuplot(void)
{
    char start[512], *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    Page p = page_in("gnuplot");
    write_numbers(&p, "line-1");
    snprintf(start, sizeof start, "%s/.gnuplot", p.folder);
    FILE *f = fopen(start, "w");
    CU_ASSERT_FATAL(f != NULL);
    fputs("exit status 3\n", f);
    fclose(f);
    setenv("HOME", p.folder, 1);
    CHECK_OK(plot_draw(&p, "line-1", "line-1", PLOT_WIDTH, commands, "A line", "A line in words"));
    if (home) setenv("HOME", home, 1);
    free(home);
    const bool svg = there(&p, "line-1.svg");
    CU_ASSERT_FALSE(there(&p, "line-1.gnuplot"));
    const char *text = text_of(&p);
    if (has(text, "gnuplot is not there"))
        test_skip("gnuplot is not there");
    else
        CU_ASSERT(svg && has(text, "src=\"line-1.svg\"") && has(text, "alt=\"A line in words\""));
}

static void a_plot_that_gnuplot_refuses_is_left_out(void)
{
    Page p = page_in("refused");
    write_numbers(&p, "line-1");
    CHECK_OK(plot_draw(&p, "line-1", "line-1", PLOT_WIDTH, "plot 'absent.csv'", "A line", "A line in words"));
    CU_ASSERT_FALSE(there(&p, "line-1.svg"));
    CU_ASSERT(has(text_of(&p), "A line: not drawn") && has(text_of(&p), "line-1.csv"));
}

TEST_MAIN("page", {"text is never markup", text_is_never_markup},
          {"sections can be jumped to and stand in one landmark", sections_can_be_jumped_to_and_stand_in_one_landmark},
          {"rows that tell of a run are marked", rows_that_tell_of_a_run_are_marked},
          {"tables name their columns and align numbers", tables_name_their_columns_and_align_numbers},
          {"nothing comes from the network", nothing_comes_from_the_network},
          {"a page knows its fingerprint", a_page_knows_its_fingerprint},
          {"a folder that is not there is an error", a_folder_that_is_not_there_is_an_error},
          {"without gnuplot the page names the numbers", without_gnuplot_the_page_names_the_numbers},
          {"a plot is drawn whatever the user set for gnuplot", a_plot_is_drawn_whatever_the_user_set_for_gnuplot},
          {"a gnuplot that is killed is an error and the signal reaches nobody else",
           a_gnuplot_that_is_killed_is_an_error_and_the_signal_reaches_nobody_else},
          {"a plot that gnuplot refuses is left out", a_plot_that_gnuplot_refuses_is_left_out})
