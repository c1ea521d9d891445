/* fitsfile_header.c - the header of an HDU as cards, for WCSLIB.

   A compressed image lies in a table, whose header is that of the image but for the words of the table itself and of the
   compression; the image's own sizes are there under other names (FITS standard 4.0, section 10.1). cfitsio would make
   the header of such an image in a file in memory, which it then fills with zeros to the size of the image: 52 MB for a
   brick. */
#include <ctype.h>
#include <fitsio.h>
#include <string.h>

#include "fitsfile_impl.h"

enum { CARD = 80, KEY = 8 };

/* Printable, and a text in quotes ends: WCSLIB copies one that does not over the end of its buffers. */
static bool card_is_sound(const char *card)
{
    enum { VALUE = 10 };
    for (int i = 0; i < CARD; i++)
        if (card[i] < ' ' || card[i] > '~') return false;
    int at = VALUE + (int)strspn(card + VALUE, " ");
    if (strncmp(card + KEY, "= ", 2) != 0 || at >= CARD || card[at] != '\'') return true;
    for (at++; at < CARD; at++) {
        if (card[at] != '\'') continue;
        if (at + 1 == CARD || card[at + 1] != '\'') return true;
        at++; /* a quote within the text is written twice */
    }
    return false;
}

/* Is the keyword one of the list? '#' at the end of an entry stands for a number or nothing. */
static bool is_among(const char *card, const char *const *list)
{
    for (; *list; list++) {
        size_t length = strcspn(*list, "#"), at = length;
        if (strncmp(card, *list, length) != 0) continue;
        while ((*list)[length] && at < KEY && isdigit((unsigned char)card[at])) at++;
        if (strspn(card + at, " ") >= KEY - at) return true;
    }
    return false;
}

/* A card of the table as the image's; blank where it is of the table alone. */
static void show_image(char *card)
{
    static const char *const table[] = {"XTENSION", "BITPIX",  "NAXIS#",   "PCOUNT",   "GCOUNT",   "TFIELDS",
                                        "THEAP",    "TTYPE#",  "TFORM#",   "CHECKSUM", "DATASUM",  "ZIMAGE",
                                        "ZCMPTYPE", "ZTILE#",  "ZNAME#",   "ZVAL#",    "ZQUANTIZ", "ZDITHER0",
                                        "ZMASKCMP", "ZSIMPLE", "ZTENSION", "ZHECKSUM", "ZDATASUM", NULL};
    static const char *const image[] = {"ZBITPIX", "ZNAXIS#", "ZEXTEND", "ZBLOCKED", "ZPCOUNT", "ZGCOUNT", NULL};
    if (is_among(card, table)) {
        memset(card, ' ', CARD);
    } else if (is_among(card, image)) {
        memmove(card, card + 1, KEY - 1);
        card[KEY - 1] = ' ';
    }
}

Status fitsfile_header(char **cards, int *n_cards, FitsFile *f, Arena *a)
{
    char *text = NULL;
    int n = 0, code = 0;
    fits_hdr2str(f->handle, 1, NULL, 0, &text, &n, &code); /* no COMMENTs */
    if (code) {
        int freed = 0;
        if (text) fits_free_memory(text, &freed);
        return FITS_FAIL(f, E_INPUT, code, "cannot read the header");
    }
    size_t length = strlen(text);
    *n_cards = (int)(length / CARD);
    if (*n_cards > 0 && strncmp(text + (size_t)(*n_cards - 1) * CARD, "END     ", KEY) == 0) --*n_cards;
    length = (size_t)*n_cards * CARD;
    Status st = arena_new(cards, a, (int64_t)length + 1);
    if (st == OK) memcpy(*cards, text, length);
    const bool compressed = fits_is_compressed_image(f->handle, &code);
    for (int i = 0; i < *n_cards && st == OK; i++) {
        char *card = *cards + (ptrdiff_t)i * CARD;
        if (!card_is_sound(card)) memset(card, ' ', CARD);
        if (compressed) show_image(card);
    }
    fits_free_memory(text, &code);
    return st;
}
