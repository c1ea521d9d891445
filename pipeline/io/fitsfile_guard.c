/* fitsfile_guard.c - a look at the next header before cfitsio believes it.

   cfitsio (4.2 at least) divides by ZTILEn, sizes the buffers of the RICE decoder by ZVALn, and formats ZGCOUNT into a
   short text, all without a check: a damaged byte in the header of a compressed image ends the program. And where it
   cannot read the first keywords of a table, it takes memory for as many columns as a variable that nobody has set
   says; the same where the file ends among them. A TTYPEn of 70 characters, which only one without quotes can be, is one too
   many for its buffer, and so are 30 characters where it expects a whole number: it repeats them in its message. Every other number in a header survives a test that replaces it by nonsense (tests/fault/io/test_bad_fits.c).
   So all moves to an HDU that was not visited yet go through here. */
#include <fitsio.h>
#include <stdlib.h>
#include <string.h>

#include "fitsfile_impl.h"

enum {
    BLOCK = 2880,
    CARD = 80,
    MAX_SIDE = 1 << 24,
    MAX_TILE = 1 << 27,
    TABLE_CARDS = 8,
    MAX_COLUMNS = 999,
    NUMBER = 28
};

typedef struct {
    bool rice, bad_tile;
    bool table, bad_table; /* what the first TABLE_CARDS cards say */
    bool bad_name;         /* a TTYPEn that is no text */
    bool bad_number;       /* a whole number of more than NUMBER characters */
    int n_cards;
    double tile;         /* pixels of a tile: the product of all ZTILEn */
    double bitpix;       /* of the image; 0 = not a compressed image */
    double block, bytes; /* of RICE: ZVAL1 and ZVAL2 */
    double groups;       /* ZGCOUNT */
} Claims;

/* The number that cfitsio would make of a value: it also reads numbers inside quotes. */
static double number_of(const char *value)
{
    while (*value == ' ' || *value == '\'') value++;
    return strtod(value, NULL);
}

/* The keywords that a table must begin with, in this order, and the values that are fixed. */
static bool table_card_ok(int n, const char *card)
{
    static const char *const keys[TABLE_CARDS] = {"XTENSION", "BITPIX  ", "NAXIS   ", "NAXIS1  ",
                                                  "NAXIS2  ", "PCOUNT  ", "GCOUNT  ", "TFIELDS "};
    static const char *const values[TABLE_CARDS] = {NULL, "8", "2", NULL, NULL, NULL, "1", NULL};
    char value[CARD + 1];
    if (strncmp(card, keys[n], 8) != 0) return false;
    if (n == 0) return true;
    if (strncmp(card + 8, "= ", 2) != 0) return false;
    size_t blanks = strspn(card + 10, " "), digits = strspn(card + 10 + blanks, "0123456789"),
           length = strcspn(card + 10 + blanks, " /");
    if (digits == 0 || digits != length || digits > 18) return false;
    snprintf(value, sizeof value, "%.*s", (int)digits, card + 10 + blanks);
    if (values[n]) return strcmp(value, values[n]) == 0;
    return n != TABLE_CARDS - 1 || atol(value) <= MAX_COLUMNS;
}

/* Is the card one that cfitsio reads as a whole number, and longer than any? */
static bool too_long(const char *text)
{
    static const char *const keys[] = {"BLANK ", "TNULL",  "THEAP",  "TBCOL", "NAXIS",   "PCOUNT",
                                       "GCOUNT", "ZBLANK", "ZNAXIS", "ZTILE", "ZBITPIX", "ZVAL"};
    if (strncmp(text + 8, "= ", 2) != 0) return false;
    const char *value = text + 10 + strspn(text + 10, " ");
    const size_t length = *value == '\'' ? strcspn(value + 1, "'") : strcspn(value, " /");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (length > NUMBER && strncmp(text, keys[i], strlen(keys[i])) == 0) return true;
    return false;
}

static void read_card(Claims *c, const char *card)
{
    char text[CARD + 1];
    memcpy(text, card, CARD);
    text[CARD] = '\0';
    char *equals = strchr(text, '=');
    c->bad_number |= too_long(text);
    if (c->n_cards == 0) c->table = strstr(text, "TABLE") != NULL;
    if (c->table && c->n_cards < TABLE_CARDS) c->bad_table |= !table_card_ok(c->n_cards, text);
    c->n_cards++;
    if (c->table && strncmp(text, "TTYPE", 5) == 0) {
        const char *value = text + 9 + strspn(text + 9, " ");
        c->bad_name |= *value != '\'' && *value != '\0';
    }
    if (text[0] != 'Z' || !equals) return;
    double value = number_of(equals + 1);
    text[strcspn(text, " =")] = '\0';
    if (strncmp(text, "ZTILE", 5) == 0) {
        c->bad_tile |= !(value >= 1 && value <= MAX_SIDE);
        c->tile *= value;
    } else if (strcmp(text, "ZCMPTYPE") == 0) {
        c->rice |= strstr(equals + 1, "RICE") != NULL;
    } else if (strcmp(text, "ZBITPIX") == 0) {
        c->bitpix = value;
    } else if (strcmp(text, "ZVAL1") == 0) {
        c->block = value;
    } else if (strcmp(text, "ZVAL2") == 0) {
        c->bytes = value;
    } else if (strcmp(text, "ZGCOUNT") == 0) {
        c->groups = value;
    }
}

/* 0: the header has none. */
static bool is_bitpix(double x) { return x == 0 || x == 8 || x == 16 || x == 32 || x == 64 || x == -32 || x == -64; }

static const char *complaint(int *reason, const Claims *c)
{
    const bool bad_table = c->bad_table || (c->table && c->n_cards < TABLE_CARDS);
    *reason = bad_table ? BAD_ORDER : c->bad_name ? NO_QUOTE : c->bad_number ? BAD_C2I : DATA_DECOMPRESSION_ERR;
    if (bad_table) return "the first eight keywords are not those of a table";
    if (c->bad_name) return "a TTYPEn is not a text in quotes";
    if (c->bad_number) return "a keyword that is to be a whole number is none";
    if (c->bad_tile || !(c->tile <= MAX_TILE)) return "absurd ZTILEn";
    if (c->groups != 1) return "ZGCOUNT is not 1";
    if (!is_bitpix(c->bitpix)) return "ZBITPIX is none of 8, 16, 32, 64, -32, -64";
    if (!c->rice) return NULL;
    int needed = c->bitpix == 8 ? 1 : c->bitpix == 16 ? 2 : 4; /* bytes of the integers; reals are quantised to 4 */
    if (c->block != 16 && c->block != 32) return "RICE block size ZVAL1 is neither 16 nor 32";
    if ((c->bytes != 1 && c->bytes != 2 && c->bytes != 4) || c->bytes < needed)
        return "RICE pixel size ZVAL2 does not fit ZBITPIX";
    return NULL;
}

/* What is wrong with the header after the current HDU, and cfitsio's status for it; NULL if nothing, or if there is none. */
static const char *look_ahead(int *reason, fitsfile *handle)
{
    Claims claims = {.tile = 1, .block = 32, .bytes = 4, .groups = 1};
    char block[BLOCK];
    LONGLONG start = 0, end = 0;
    int code = 0;
    fits_get_hduaddrll(handle, NULL, &start, &end, &code);
    for (LONGLONG length = handle->Fptr->filesize; code == 0 && end < length;
         end += BLOCK) { /* beyond it cfitsio would make blocks */
        LONGLONG bytes = length - end < BLOCK ? length - end : BLOCK;
        fits_read_ext(handle, end - start, bytes, block, &code);
        if (code) {               /* less than a block is left */
            *reason = READ_ERROR; /* not END_OF_FILE, which is the end of a whole file */
            fits_clear_errmsg();
            return "the file ends within a header";
        }
        for (int i = 0; i + CARD <= bytes; i += CARD) {
            if (strncmp(block + i, "END     ", 8) == 0) return complaint(reason, &claims);
            read_card(&claims, block + i);
        }
    }
    fits_clear_errmsg();
    return claims.table ? complaint(reason, &claims) : NULL; /* the header does not end: cfitsio says so itself */
}

int fitsfile_move(FitsFile *f, int number)
{
    fitsfile *handle = f->handle;
    int code = 0, reason = 0;
    while (handle->Fptr->maxhdu + 1 < number && code == 0) { /* maxhdu: the last one visited, from 0 */
        int known = handle->Fptr->maxhdu + 1;
        fits_movabs_hdu(handle, known, NULL, &code);
        const char *wrong = code ? NULL : look_ahead(&reason, handle);
        if (wrong) {
            fits_write_errmsg(wrong);
            return reason;
        }
        fits_movabs_hdu(handle, known + 1, NULL, &code);
    }
    if (code == 0) fits_movabs_hdu(handle, number, NULL, &code);
    return code;
}
