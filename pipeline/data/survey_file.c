/* survey_file.c - from a path of a survey to a file on this disk, compressed or not. */
#include <stdio.h>
#include <unistd.h>

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
