/* plot.c - gnuplot is started in the folder of the page without a shell. Commands are ours; what comes from files is in
   the CSV files. */
#include "tables/plot.h"

#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"

extern char **environ;

static Status path_of(char out[1200], const Page *p, const char *name, const char *suffix)
{
    if (snprintf(out, 1200, "%s/%s%s", p->folder, name, suffix) < 1200) return OK;
    return FAIL(E_OUTPUT, "the path %.200s... is too long", p->folder);
}

Status plot_data(FILE **out, const Page *p, const char *name, const char *head)
{
    char path[1200];
    TRY(path_of(path, p, name, ".csv"));
    *out = fopen(path, "w");
    if (!*out) return FAIL(E_OUTPUT, "%s cannot be written: %s", path, strerror(errno));
    fprintf(*out, "%s\n", head);
    return OK;
}

Status plot_data_end(FILE *f, const Page *p, const char *name)
{
    bool good = !ferror(f);
    if (fclose(f) != 0) good = false;
    return good ? OK : FAIL(E_OUTPUT, "%s/%s.csv cannot be written: %s", p->folder, name, strerror(errno));
}

/* In the page's folder, in a process group of its own: signals to the job are not for it, the stage ends by itself. */
static int spawn_gnuplot(pid_t *child, const Page *p, char *const *words)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed != 0) return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed == 0) {
        failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
        if (failed == 0) failed = posix_spawn_file_actions_addchdir_np(&actions, p->folder);
        if (failed == 0) failed = posix_spawnp(child, "gnuplot", &actions, &attributes, words, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* *code: of gnuplot, 127 = it is not there. Killed, it has said nothing about the numbers: the page is not finished. */
static Status run_gnuplot(int *code, const Page *p, char *script)
{
    char *const words[] = {"gnuplot", "-d", script, NULL}; /* -d: whatever the user set for it */
    pid_t child;
    int status = 0;
    const int failed = spawn_gnuplot(&child, p, words);
    *code = 127;
    if (failed == ENOENT) return OK;
    if (failed != 0) return FAIL(E_OUTPUT, "gnuplot cannot be started: %s", strerror(failed));
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return FAIL(E_BUG, "lost gnuplot: %s", strerror(errno));
    if (WIFSIGNALED(status))
        return FAIL(E_OUTPUT, "gnuplot died of signal %d at %s/%s; run the stage again", WTERMSIG(status), p->folder,
                    script);
    *code = WEXITSTATUS(status);
    return OK;
}

static Status write_script(const char *path, const char *name, int width, const char *commands)
{
    FILE *f = fopen(path, "w");
    bool good =
        f && fprintf(f,
                     "set terminal svg size %d,%d dynamic enhanced font 'sans-serif,13'\n"
                     "set encoding utf8\nset output '%s.svg'\nset datafile separator ','\nset datafile missing ''\n"
                     "set border 3 lc rgb '#5b6570'\nset tics nomirror\nset grid lc rgb '#e3e7eb'\n"
                     "set key outside top center horizontal\n%s\n",
                     width, PLOT_HEIGHT, name, commands) > 0;
    if (f && fclose(f) != 0) good = false;
    return good ? OK : FAIL(E_OUTPUT, "%s cannot be written: %s", path, strerror(errno));
}

/* What a failed gnuplot left. */
static Status unlink_picture(const Page *p, const char *name)
{
    char path[1200];
    TRY(path_of(path, p, name, ".svg"));
    unlink(path);
    return OK;
}

Status plot_draw(Page *p, const char *name, const char *data, int width, const char *commands, const char *caption,
                 const char *alt)
{
    char path[1200], script[256], picture[256], numbers[256];
    int code = 0;
    snprintf(script, sizeof script, "%s.gnuplot", name);
    snprintf(picture, sizeof picture, "%s.svg", name);
    snprintf(numbers, sizeof numbers, "%s.csv", data);
    TRY(path_of(path, p, name, ".gnuplot"));
    TRY(write_script(path, name, width, commands));
    TRY(run_gnuplot(&code, p, script));
    unlink(path);
    if (code != 0) { /* numbers that no axis can show, or no gnuplot: the page does without */
        log_warn("%s/%s is not drawn: gnuplot %s", p->folder, picture, code == 127 ? "is not there" : "failed");
        page_text(p, "%s: not drawn, gnuplot %s; the numbers are in %s.", caption,
                  code == 127 ? "is not there" : "failed", numbers);
        return unlink_picture(p, name);
    }
    page_figure(p, picture, width, PLOT_HEIGHT, caption, alt, numbers);
    return OK;
}
