/* fail.c - the one record of what went wrong in this thread. */
#include "core/fail.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Thread_local FailRecord record;
static int my_rank;
static void (*abort_all)(int code);

const char *fail_kind(int status)
{
    switch (status) {
    case OK: return "none";
    case E_CONFIG: return "config";
    case E_INPUT: return "input";
    case E_OUTPUT: return "output";
    case E_NUMERIC: return "numeric";
    case E_MEMORY: return "memory";
    case E_INTERRUPTED: return "interrupted";
    case E_STALLED: return "stalled";
    default: return "bug";
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

Status fail_set(Status status, const char *file, int line, const char *format, ...)
{
    memset(&record, 0, sizeof record);
    record.status = status;
    record.rank = my_rank;
    record.line = line;
    snprintf(record.file, sizeof record.file, "%s", base_name(file));
    va_list args;
    va_start(args, format);
    vsnprintf(record.text, sizeof record.text, format, args);
    va_end(args);
    return status;
}

void fail_note(const char *format, ...)
{
    size_t used = strlen(record.note);
    if (used + 2 >= sizeof record.note) return;
    if (used > 0) record.note[used++] = '\n';
    va_list args;
    va_start(args, format);
    vsnprintf(record.note + used, sizeof record.note - used, format, args);
    va_end(args);
}

/* What follows NAME:RANK in the list NAME:RANK[...][,NAME:RANK[...]...] of the variable, for this point on this rank; NULL
   if it is not there. */
static const char *find_wanted(const char *variable, const char *name)
{
    const char *wanted = getenv(variable);
    size_t length = strlen(name);
    while (wanted && *wanted) {
        size_t item = strcspn(wanted, ",");
        if (item > length + 1 && strncmp(wanted, name, length) == 0 && wanted[length] == ':') {
            char *end;
            if (strtol(wanted + length + 1, &end, 10) == my_rank) return end;
        }
        wanted += item + (wanted[item] == ',');
    }
    return NULL;
}

/* ":0.1" waits so many seconds, anything else for ever; a signal ends the former. */
static void hang(const char *how)
{
    double seconds = *how == ':' ? strtod(how + 1, NULL) : 0;
    struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
    if (seconds > 0)
        nanosleep(&time, NULL);
    else
        for (;;) pause();
}

Status fail_point(const char *name, const char *file, int line)
{
    const char *how = find_wanted("HANG_POINT", name);
    if (how) hang(how);
    if (!find_wanted("FAIL_POINT", name)) return OK;
    return fail_set(E_OUTPUT, file, line, "injected failure at point %s", name);
}

_Noreturn void fail_bug(const char *expression, const char *file, int line)
{
    fprintf(stderr, "error (bug): %s does not hold\n    at %s:%d on rank %d\n", expression, base_name(file), line,
            my_rank);
    fflush(stderr);
    if (abort_all) abort_all(E_BUG);
    abort();
}

const FailRecord *fail_record(void) { return &record; }
void fail_store(const FailRecord *r) { record = *r; }
void fail_clear(void) { memset(&record, 0, sizeof record); }
void fail_set_rank(int rank) { my_rank = rank; }
void fail_set_abort(void (*hook)(int code)) { abort_all = hook; }

void fail_print(FILE *out, int n_ranks)
{
    fprintf(out, "error (%s): %s\n", fail_kind(record.status), record.text);
    for (const char *note = record.note; *note;) {
        int length = (int)strcspn(note, "\n");
        fprintf(out, "    while %.*s\n", length, note);
        note += length + (note[length] == '\n');
    }
    if (record.status == E_INTERRUPTED) return (void)fflush(out); /* nobody's fault: no place to look at */
    fprintf(out, "    at %s:%d", record.file, record.line);
    if (n_ranks > 1) fprintf(out, " on rank %d of %d", record.rank, n_ranks);
    fprintf(out, "\n");
    fflush(out);
}
