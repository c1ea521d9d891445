/* survey_file.c - from a path of a survey to a file on this disk, compressed or not; what is wrong with a file is
   said once. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/log.h"
#include "data/survey.h"

bool survey_file(char *out, size_t size, const char *root, const char *path)
{
    bool alone = path[0] == '/' || root[0] == '\0';
    const char *const suffix[] = {"", ".gz"};
    for (int s = 0; s < 2; s++) {
        int length = snprintf(out, size, "%s%s%s%s", alone ? "" : root, alone ? "" : "/", path, suffix[s]);
        if (length < 0 || (size_t)length >= size) return false;
        if (access(out, F_OK) == 0) return true;
    }
    snprintf(out, size, "%s%s%s", alone ? "" : root, alone ? "" : "/", path);
    return false;
}

void source_report(ImageSource *s, const char *path, const char *what)
{
    uint64_t hash = hash_bytes(path, strlen(path));
    uint64_t *told = &s->reported[hash % SOURCE_REPORTED];
    if (*told == hash) return;
    *told = hash; /* another file of the same slot may be told of again: only ever too much is said */
    size_t length = strlen(path);
    bool named = strncmp(what, path, length) == 0; /* messages of readers begin with the file */
    log_rank("%s%s%s", named ? "" : path, named ? "" : ": ", what);
}
