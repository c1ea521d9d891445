/* fitsfile_rows.c - several columns of a table in one pass over its rows.

   FITS keeps a table row by row. A sweep has a hundred columns, of which we want a fifth, and cfitsio would go over all
   the rows once for each. Here the bytes of some rows are read at once and the columns picked out of them. What is
   stored otherwise than wanted (scaled, packed, of another kind) goes the way of fitsfile_read_column. */
#include <fitsio.h>
#include <math.h>
#include <string.h>

#include "fitsfile_impl.h"

enum { AT_ONCE = 1 << 18 }; /* bytes of rows: stay in the cache until every column has been picked */

/* Where a column lies in a row, when it can be picked out of the bytes as it is. */
typedef struct {
    bool plain;
    int stored; /* cfitsio's code */
    int64_t offset, bytes;
} Place;

static int64_t stored_bytes(int code)
{
    switch (code) {
    case TBYTE:
    case TLOGICAL: return 1;
    case TSHORT: return 2;
    case TLONG:
    case TFLOAT: return 4;
    case TLONGLONG:
    case TDOUBLE: return 8;
    }
    return 0;
}

/* Numbers that hold all that is stored: nothing can overflow or be rounded. */
static bool converts(int stored, FitsType type)
{
    switch (type) {
    case FITS_I16: return stored == TSHORT || stored == TBYTE;
    case FITS_I32: return stored == TLONG || stored == TSHORT || stored == TBYTE;
    case FITS_I64: return stored == TLONGLONG || stored == TLONG || stored == TSHORT || stored == TBYTE;
    case FITS_F32: return stored == TFLOAT || stored == TSHORT || stored == TBYTE;
    case FITS_F64:
        return stored == TDOUBLE || stored == TFLOAT || stored == TLONG || stored == TSHORT || stored == TBYTE;
    case FITS_TEXT: return stored == TSTRING;
    case FITS_BOOL: return stored == TLOGICAL;
    case FITS_U8: return stored == TBYTE;
    }
    return false;
}

static Status place_of(Place *p, FitsPick *pick, FitsFile *f)
{
    fitsfile *handle = f->handle;
    int number;
    int64_t width;
    *p = (Place){0};
    pick->there = fitsfile_find_column(&number, f, pick->name);
    if (!pick->there) return pick->optional ? OK : FITS_FAIL(f, E_INPUT, 0, "has no column %s", pick->name);
    TRY(fitsfile_column_width(&width, f, pick->name)); /* holds it against the length of the row */
    if (pick->type != FITS_TEXT && width != 1)
        return FITS_FAIL(f, E_INPUT, 0, "column %s: %lld elements per row, one was expected", pick->name,
                         (long long)width);
    const tcolumn *c = &handle->Fptr->tableptr[number - 1];
    p->stored = c->tdatatype;
    p->offset = c->tbcol;
    p->bytes = p->stored == TSTRING ? width : stored_bytes(p->stored);
    p->plain = handle->Fptr->hdutype == BINARY_TBL && c->tscale == 1 && c->tzero == 0 &&
               converts(p->stored, pick->type) && p->offset >= 0 && p->offset <= handle->Fptr->rowlength - p->bytes &&
               (p->stored != TSTRING || c->trepeat <= c->twidth);
    return OK;
}

/* ---- bytes to numbers: FITS is big-endian ---- */

static uint16_t word16(const unsigned char *b) { return (uint16_t)(b[0] << 8 | b[1]); }
static uint32_t word32(const unsigned char *b) { return (uint32_t)word16(b) << 16 | word16(b + 2); }
static uint64_t word64(const unsigned char *b) { return (uint64_t)word32(b) << 32 | word32(b + 4); }

static int64_t integer_at(const unsigned char *b, int stored)
{
    switch (stored) {
    case TBYTE: return b[0];
    case TSHORT: return (int16_t)word16(b);
    case TLONG: return (int32_t)word32(b);
    }
    return (int64_t)word64(b);
}

/* As cfitsio reads them: what is not finite is NaN. */
static double real_at(const unsigned char *b, int stored)
{
    uint32_t bits = 0;
    uint64_t wide = 0;
    float x;
    double y;
    switch (stored) {
    case TFLOAT:
        bits = word32(b);
        memcpy(&x, &bits, sizeof x);
        return isfinite(x) ? x : NAN;
    case TDOUBLE:
        wide = word64(b);
        memcpy(&y, &wide, sizeof y);
        return isfinite(y) ? y : NAN;
    }
    return (double)integer_at(b, stored);
}

static void copy_text(char *out, size_t cell, const unsigned char *b, int64_t width)
{
    size_t length = strnlen((const char *)b, (size_t)width);
    while (length > 0 && b[length - 1] == ' ') length--;
    if (length > cell - 1) length = cell - 1;
    memset(out, 0, cell);
    memcpy(out, b, length);
}

/* One column of n rows of `stride` bytes, into elements `to` and after. */
static void pick_out(const FitsPick *pick, const Place *p, int64_t to, const unsigned char *rows, int64_t stride,
                     int64_t n)
{
    const unsigned char *b = rows + p->offset;
#define EACH(T, value)                                                                                                 \
    for (int64_t i = 0; i < n; i++, b += stride) ((T *)pick->out)[to + i] = (T)(value)
    switch (pick->type) {
    case FITS_I16: EACH(int16_t, integer_at(b, p->stored)); break;
    case FITS_I32: EACH(int32_t, integer_at(b, p->stored)); break;
    case FITS_I64: EACH(int64_t, integer_at(b, p->stored)); break;
    case FITS_F32: EACH(float, real_at(b, p->stored)); break;
    case FITS_F64: EACH(double, real_at(b, p->stored)); break;
    case FITS_BOOL: EACH(uint8_t, b[0] == 'T'); break;
    case FITS_U8: EACH(uint8_t, b[0]); break;
    case FITS_TEXT:
        for (int64_t i = 0; i < n; i++, b += stride)
            copy_text((char *)pick->out + (size_t)(to + i) * pick->cell, pick->cell, b, p->bytes);
    }
#undef EACH
}

static Status read_plain(const FitsPick *pick, const Place *place, int n_picks, FitsFile *f, int64_t first, int64_t n,
                         Arena *scratch)
{
    int64_t stride = ((fitsfile *)f->handle)->Fptr->rowlength, at_once = AT_ONCE / stride > 0 ? AT_ONCE / stride : 1;
    unsigned char *rows;
    if (at_once > n) at_once = n;
    TRY(arena_take((void **)&rows, scratch, at_once, (size_t)stride));
    for (int64_t at = 0; at < n; at += at_once) {
        int64_t some = n - at < at_once ? n - at : at_once;
        int code = 0;
        fits_read_tblbytes(f->handle, first + at + 1, 1, some * stride, rows, &code);
        if (code)
            return FITS_FAIL(f, E_INPUT, code, "cannot read rows %lld to %lld", (long long)(first + at),
                             (long long)(first + at + some - 1));
        for (int k = 0; k < n_picks; k++)
            if (place[k].plain) pick_out(&pick[k], &place[k], at, rows, stride, some);
    }
    return OK;
}

Status fitsfile_read_picks(FitsPick *pick, int n_picks, FitsFile *f, int64_t first, int64_t n, Arena *scratch)
{
    Mark mark = arena_mark(scratch);
    Place *place;
    int64_t rows;
    bool any = false;
    TRY(fitsfile_rows(&rows, f));
    if (first < 0 || n < 0 || n > rows || first > rows - n)
        return FITS_FAIL(f, E_INPUT, 0, "%lld rows from row %lld were asked for, there are %lld", (long long)n,
                         (long long)first, (long long)rows);
    TRY(arena_new(&place, scratch, n_picks));
    for (int k = 0; k < n_picks; k++) {
        TRY(place_of(&place[k], &pick[k], f));
        any = any || place[k].plain;
    }
    if (any && n > 0) TRY(read_plain(pick, place, n_picks, f, first, n, scratch));
    for (int k = 0; k < n_picks; k++) {
        if (!pick[k].there || place[k].plain) continue;
        if (pick[k].type == FITS_TEXT)
            TRY(fitsfile_read_text(pick[k].out, pick[k].cell, f, pick[k].name, first, n));
        else
            TRY(fitsfile_read_column(pick[k].out, f, pick[k].name, pick[k].type, first, n));
    }
    arena_reset(scratch, mark);
    return OK;
}
