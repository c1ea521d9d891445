/* explorer_files.c - the page of the explorer becomes part of the program: files of the folder explorer/, as they are. */
#include "tables/explorer.h"

#define EMBED(name, file)                                                                                              \
    __asm__(".section .rodata\n"                                                                                       \
            ".global explorer_" name "\n"                                                                              \
            "explorer_" name ":\n"                                                                                     \
            ".incbin \"" EXPLORER_FOLDER "/" file "\"\n"                                                               \
            ".global explorer_" name "_end\n"                                                                          \
            "explorer_" name "_end:\n"                                                                                 \
            ".byte 0\n"                                                                                                \
            ".previous\n");

EMBED("html", "index.html")
EMBED("js", "explorer.js")
EMBED("css", "explorer.css")
