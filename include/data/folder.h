/* folder.h - lists of files: folders read and sorted, so that every machine sees the same files in the same order. Local,
   serial. */
#ifndef DATA_FOLDER_H
#define DATA_FOLDER_H

#include "data/catalog.h"

/* Appends a copy of `text`; *room is the caller's, 0 at first. */
Status filelist_add(FileList *list, int64_t *room, const char *text, Arena *a);

/* PATH or PATH.gz, whichever is there under `root`; neither: nothing is added. */
Status filelist_add_existing(FileList *out, int64_t *room, const char *root, const char *path, Arena *a);

void filelist_sort(FileList *list);

/* Names in ROOT/FOLDER that do not start with a dot, sorted; *found tells whether the folder exists. E_INPUT when it
   cannot be listed. */
Status folder_list(FileList *out, bool *found, const char *root, const char *folder, Arena *a);

#endif
