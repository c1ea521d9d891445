/* folder.c - lists of files. */
#include "data/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/fitsfile.h"

static int compare_texts(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void filelist_sort(FileList *list)
{
    if (list->n > 1) qsort(list->path, (size_t)list->n, sizeof *list->path, compare_texts);
}

Status filelist_add(FileList *list, int64_t *room, const char *text, Arena *a)
{
    if (list->n == *room) {
        char **larger;
        *room = *room ? 2 * *room : 64;
        TRY(arena_new(&larger, a, *room));
        if (list->n > 0) memcpy(larger, list->path, (size_t)list->n * sizeof *larger);
        list->path = larger;
    }
    TRY(arena_text(&list->path[list->n], a, text));
    list->n++;
    return OK;
}

Status folder_list(FileList *out, bool *found, const char *root, const char *folder, Arena *a)
{
    Status st = OK;
    int64_t room = 0;
    char *path;
    *out = (FileList){0};
    TRY(arena_printf(&path, a, "%s/%s", root, folder));
    DIR *dir = opendir(path);
    *found = dir != NULL;
    if (!dir && (errno == ENOENT || errno == ENOTDIR)) return OK;
    if (!dir) return FAIL(E_INPUT, "cannot list the folder %s: %s", path, strerror(errno));
    for (struct dirent *entry; (errno = 0, entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.') TRY_DONE(filelist_add(out, &room, entry->d_name, a));
    if (errno != 0) TRY_DONE(FAIL(E_INPUT, "cannot list the folder %s: %s", path, strerror(errno)));
    filelist_sort(out);
done:
    closedir(dir);
    return st;
}

static bool exists(const char *root, const char *path)
{
    char full[2 * FITS_PATH];
    int length = snprintf(full, sizeof full, "%s/%s", root, path);
    return length > 0 && (size_t)length < sizeof full && access(full, F_OK) == 0;
}

Status filelist_add_existing(FileList *out, int64_t *room, const char *root, const char *path, Arena *a)
{
    char zipped[FITS_PATH + 4];
    if (exists(root, path)) return filelist_add(out, room, path, a);
    snprintf(zipped, sizeof zipped, "%s.gz", path);
    return exists(root, zipped) ? filelist_add(out, room, zipped, a) : OK;
}
