/* fitsfile_tiles.c - walks the compressed tiles that a read will touch, before cfitsio decodes them.

   cfitsio's RICE decoder looks for the next 1 bit until it finds one, also beyond the tile's bytes and beyond the
   memory of the program: one damaged byte can kill a rank. The walk follows the same codes (FITS standard 4.0, section
   10.4.1), only counts bits, and costs a quarter of the decoding. HCOMPRESS codes carry their own image size, which
   cfitsio believes: it is held against the tile. A gzip stream that is cut short, or unpacks to more than the tile, makes cfitsio take
   memory until there is none. PLIO checks itself. */
#include <fitsio.h>
#include <stdlib.h>
#include <string.h>

#include "fitsfile_impl.h"
#include "io/gzip.h"

enum { PAD = 8, MAX_PIXEL = 8, HCOMPRESS_HEAD = 25, MAX_BITPLANES = 63, AT_ONCE = 57 };

typedef struct {
    unsigned char *bytes; /* one tile's codes and PAD zeros */
    int64_t room;
} Codes;

static uint64_t bits_from(const unsigned char *bytes, int64_t at)
{
    uint64_t word;
    memcpy(&word, bytes + (at >> 3), sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word << (at & 7); /* at least AT_ONCE bits are there, zeros behind them */
}

/* n differences: zeros up to a 1, then code - 1 plain bits. */
static bool skip_block(int64_t *bit, int64_t end, const unsigned char *bytes, int64_t n, int64_t code)
{
    int64_t at = *bit, left = 0;
    uint64_t word = 0;
    for (int64_t i = 0; i < n;) {
        if (left <= 0) {
            if (at >= end) return false;
            word = bits_from(bytes, at);
            left = AT_ONCE;
        }
        if (word == 0) { /* the run of zeros goes on */
            at += left;
            left = 0;
            continue;
        }
        int64_t used = __builtin_clzll(word) + code;
        at += used;
        left -= used;
        if (left > 0) word <<= used;
        i++;
    }
    *bit = at;
    return true;
}

/* Whether the codes of `n_pixels` pixels end within `length` bytes. Blocks of `block` pixels share one split position;
   a difference is a unary number and `split` plain bits. Code 0: all differences are 0. The highest code: plain
   numbers. */
static bool rice_ends(const unsigned char *bytes, int64_t length, int64_t n_pixels, int block, int bytes_per_pixel)
{
    int code_bits = bytes_per_pixel == 4 ? 5 : bytes_per_pixel == 2 ? 4 : 3;
    int64_t plain = bytes_per_pixel == 4 ? 26 : bytes_per_pixel == 2 ? 15 : 7;
    int64_t end = 8 * length, at = 8 * (int64_t)bytes_per_pixel; /* the first pixel stands in front */
    for (int64_t done = 0; done < n_pixels; done += block) {
        int64_t n = n_pixels - done < block ? n_pixels - done : block;
        if (at + code_bits > end) return false;
        int64_t code = (int64_t)(bits_from(bytes, at) >> (64 - code_bits));
        at += code_bits;
        if (code > plain) return false;
        if (code == plain)
            at += n * 8 * bytes_per_pixel;
        else if (code > 0 && !skip_block(&at, end, bytes, n, code))
            return false;
        if (at > end) return false;
    }
    return true;
}

static int64_t big_endian_32(const unsigned char *b)
{
    return (int32_t)((uint32_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]);
}

static bool hcompress_fits(const unsigned char *b, int64_t length, int64_t n_pixels)
{
    if (length < HCOMPRESS_HEAD || b[0] != 0xdd || b[1] != 0x99) return false;
    int64_t nx = big_endian_32(b + 2), ny = big_endian_32(b + 6);
    return nx > 0 && ny > 0 && nx * ny == n_pixels && b[22] <= MAX_BITPLANES && b[23] <= MAX_BITPLANES &&
           b[24] <= MAX_BITPLANES;
}

/* How many elements of a column of variable length a tile has: cfitsio takes memory for as many as a row claims. */
static Status tile_length(LONGLONG *length, FitsFile *f, int column, int64_t row)
{
    const FITSfile *image = ((fitsfile *)f->handle)->Fptr;
    LONGLONG offset = 0;
    int code = 0;
    *length = 0;
    if (column < 1) return OK;
    fits_read_descriptll(f->handle, column, row + 1, length, &offset, &code);
    if (code) return FITS_FAIL(f, E_INPUT, code, "tile %lld: cannot be found", (long long)row);
    if (*length < 0 || offset < 0 || *length > image->filesize || offset > image->filesize)
        return FITS_FAIL(f, E_INPUT, 0, "tile %lld: lies outside the file: damaged?", (long long)row);
    return OK;
}

/* The bytes of a tile, followed by PAD zeros. */
static Status read_codes(Codes *codes, FitsFile *f, int column, int64_t row, int64_t length)
{
    int code = 0, any = 0;
    if (length + PAD > codes->room) {
        free(codes->bytes);
        codes->room = 2 * length + PAD;
        codes->bytes = malloc((size_t)codes->room);
        if (!codes->bytes) return FITS_FAIL(f, E_MEMORY, 0, "no memory for a tile of %lld bytes", (long long)length);
    }
    fits_read_col(f->handle, TBYTE, column, row + 1, 1, length, NULL, codes->bytes, &any, &code);
    if (code) return FITS_FAIL(f, E_INPUT, code, "tile %lld: cannot be read", (long long)row);
    memset(codes->bytes + length, 0, PAD);
    return OK;
}

static bool codes_end(const FITSfile *image, int type, const Codes *codes, int64_t length, int64_t n_pixels)
{
    switch (type) {
    case RICE_1: return rice_ends(codes->bytes, length, n_pixels, image->rice_blocksize, image->rice_bytepix);
    case HCOMPRESS_1: return hcompress_fits(codes->bytes, length, n_pixels);
    case GZIP_1:
    case GZIP_2: return gzip_ends(codes->bytes, (size_t)length, n_pixels * MAX_PIXEL);
    default: return true;
    }
}

/* One tile, by its row in the table of tiles. What the codec of the image cannot hold is kept in columns of their own,
   gzipped or plain. */
static Status check_tile(FitsFile *f, Codes *codes, int64_t row, int64_t n_pixels)
{
    const FITSfile *image = ((fitsfile *)f->handle)->Fptr;
    int column = image->cn_compressed, type = image->compress_type;
    LONGLONG length = 0;
    TRY(tile_length(&length, f, image->cn_uncompressed, row));
    TRY(tile_length(&length, f, column, row));
    if (length == 0) {
        column = image->cn_gzip_data;
        type = GZIP_1;
        TRY(tile_length(&length, f, column, row));
        if (length == 0) return OK;
    }
    TRY(read_codes(codes, f, column, row, length));
    if (codes_end(image, type, codes, length, n_pixels)) return OK;
    return FITS_FAIL(f, E_INPUT, 0, "tile %lld: its compressed pixels are damaged", (long long)row);
}

Status fitsfile_check_tiles(FitsFile *f, const int64_t from[FITS_AXES], const int64_t to[FITS_AXES])
{
    const FITSfile *image = ((fitsfile *)f->handle)->Fptr;
    int code = 0;
    if (!fits_is_compressed_image(f->handle, &code)) return OK;
    int64_t side[FITS_AXES] = {1, 1, 1}, tile[FITS_AXES] = {1, 1, 1}, count[FITS_AXES], t[FITS_AXES];
    for (int i = 0; i < image->zndim && i < FITS_AXES; i++) {
        side[i] = image->znaxis[i];
        tile[i] = image->tilesize[i];
        if (tile[i] < 1) return FITS_FAIL(f, E_INPUT, 0, "has tiles of no size");
    }
    for (int i = 0; i < FITS_AXES; i++) count[i] = (side[i] + tile[i] - 1) / tile[i];
    Codes codes = {NULL, 0};
    Status st = OK;
    for (t[2] = from[2] / tile[2]; t[2] * tile[2] < to[2]; t[2]++)
        for (t[1] = from[1] / tile[1]; t[1] * tile[1] < to[1]; t[1]++)
            for (t[0] = from[0] / tile[0]; t[0] * tile[0] < to[0]; t[0]++) {
                int64_t n = 1;
                for (int i = 0; i < FITS_AXES; i++) {
                    int64_t left = side[i] - t[i] * tile[i];
                    n *= left < tile[i] ? left : tile[i];
                }
                TRY_DONE(check_tile(f, &codes, (t[2] * count[1] + t[1]) * count[0] + t[0], n));
            }
done:
    free(codes.bytes);
    return st;
}
