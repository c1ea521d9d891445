/* fitsfile_tiles.c - walks the compressed tiles that a read touches: floats in RICE codes, which is what surveys publish, are
   decoded here, straight to where they belong; of all others the codes are looked at before cfitsio decodes them.

   A damaged RICE code would lead cfitsio beyond its memory (fitsfile_rice.c). HCOMPRESS codes carry their own image size, which
   cfitsio believes: it is held against the tile. A gzip stream that is cut short, or unpacks to more than the tile, makes cfitsio
   take memory until there is none. PLIO checks itself. */
#include <endian.h>
#include <fitsio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitsfile_impl.h"
#include "io/gzip.h"

enum { MAX_PIXEL = 8, HCOMPRESS_HEAD = 25, MAX_BITPLANES = 63 };

typedef struct {
    unsigned char *bytes; /* one tile's codes and RICE_PAD zeros */
    uint32_t *numbers;    /* what RICE codes stand for */
    int64_t room, room_numbers;
} Codes;

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

static void close_codes(Codes *codes)
{
    free(codes->bytes);
    free(codes->numbers);
}

static Status room_for_numbers(Codes *codes, FitsFile *f, int64_t n)
{
    if (n <= codes->room_numbers) return OK;
    free(codes->numbers);
    codes->room_numbers = n;
    codes->numbers = malloc((size_t)n * sizeof *codes->numbers);
    return codes->numbers ? OK : FITS_FAIL(f, E_MEMORY, 0, "no memory for a tile of %lld pixels", (long long)n);
}

/* The bytes of a tile, followed by RICE_PAD zeros. */
static Status read_codes(Codes *codes, FitsFile *f, int column, int64_t row, int64_t length)
{
    int code = 0, any = 0;
    if (length + RICE_PAD > codes->room) {
        free(codes->bytes);
        codes->room = 2 * length + RICE_PAD;
        codes->bytes = malloc((size_t)codes->room);
        if (!codes->bytes) return FITS_FAIL(f, E_MEMORY, 0, "no memory for a tile of %lld bytes", (long long)length);
    }
    fits_read_col(f->handle, TBYTE, column, row + 1, 1, length, NULL, codes->bytes, &any, &code);
    if (code) return FITS_FAIL(f, E_INPUT, code, "tile %lld: cannot be read", (long long)row);
    memset(codes->bytes + length, 0, RICE_PAD);
    return OK;
}

static bool codes_end(const FITSfile *image, int type, const Codes *codes, int64_t length, int64_t n_pixels)
{
    switch (type) {
    case RICE_1:
        return fitsfile_rice(codes->numbers, codes->bytes, length, n_pixels, image->rice_blocksize,
                             image->rice_bytepix);
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
    if (type == RICE_1) TRY(room_for_numbers(codes, f, n_pixels));
    if (codes_end(image, type, codes, length, n_pixels)) return OK;
    return FITS_FAIL(f, E_INPUT, 0, "tile %lld: its compressed pixels are damaged", (long long)row);
}

/* ---- tiles of a box ---- */

/* How an image is cut, and the box of it that is wanted; axes as FITS orders them, unused ones of length 1. */
typedef struct {
    int64_t side[FITS_AXES], tile[FITS_AXES], from[FITS_AXES], to[FITS_AXES];
} Cut;

static bool is_dithered(const FITSfile *image)
{
    return image->quantize_method == SUBTRACTIVE_DITHER_1 || image->quantize_method == SUBTRACTIVE_DITHER_2;
}

static Status cut_of(Cut *c, FitsFile *f, const int64_t from[FITS_AXES], const int64_t to[FITS_AXES])
{
    const FITSfile *image = ((fitsfile *)f->handle)->Fptr;
    for (int i = 0; i < FITS_AXES; i++) {
        c->side[i] = i < image->zndim ? image->znaxis[i] : 1;
        c->tile[i] = i < image->zndim ? image->tilesize[i] : 1;
        c->from[i] = from[i];
        c->to[i] = to[i];
        if (c->tile[i] < 1) return FITS_FAIL(f, E_INPUT, 0, "has tiles of no size");
    }
    if (is_dithered(image) && image->dither_seed < 1) /* cfitsio would look in front of its random values */
        return FITS_FAIL(f, E_INPUT, 0, "ZDITHER0 = %d is not 1 to 10000: damaged header", image->dither_seed);
    return OK;
}

/* One tile: its row in the table of tiles, its first pixel, its sides. */
typedef struct {
    int64_t row, first[FITS_AXES], side[FITS_AXES], n_pixels;
} Tile;

/* Tile t by its place among the tiles. */
static Tile tile_at(const Cut *c, const int64_t t[FITS_AXES])
{
    Tile out = {.row = 0, .n_pixels = 1};
    for (int i = FITS_AXES - 1; i >= 0; i--) {
        const int64_t left = c->side[i] - t[i] * c->tile[i];
        out.row = out.row * ((c->side[i] + c->tile[i] - 1) / c->tile[i]) + t[i];
        out.first[i] = t[i] * c->tile[i];
        out.side[i] = left < c->tile[i] ? left : c->tile[i];
        out.n_pixels *= out.side[i];
    }
    return out;
}

/* The tiles that meet the box, in the order of their rows: the one after t; false = there is none. Before the first t[0] is -1. */
static bool next_tile(int64_t t[FITS_AXES], const Cut *c)
{
    for (int i = 0; i < FITS_AXES; i++) {
        if ((t[i] + 1) * c->tile[i] < c->to[i]) {
            t[i]++;
            return true;
        }
        t[i] = c->from[i] / c->tile[i];
    }
    return false;
}

static void before_first(int64_t t[FITS_AXES], const Cut *c)
{
    for (int i = 0; i < FITS_AXES; i++) t[i] = c->from[i] / c->tile[i];
    t[0]--;
}

Status fitsfile_check_tiles(FitsFile *f, const int64_t from[FITS_AXES], const int64_t to[FITS_AXES])
{
    int code = 0;
    Cut c;
    Codes codes = {0};
    Status st = OK;
    int64_t t[FITS_AXES];
    if (!fits_is_compressed_image(f->handle, &code)) return OK;
    TRY(cut_of(&c, f, from, to));
    for (before_first(t, &c); st == OK && next_tile(t, &c);) {
        const Tile tile = tile_at(&c, t);
        st = check_tile(f, &codes, tile.row, tile.n_pixels);
    }
    close_codes(&codes);
    return st;
}

/* ---- floats in RICE codes ---- */

/* Scale and zero in columns, no scaling on top of them, one blank for all tiles or none; gzip for what they cannot hold. */
static bool is_usual(FitsFile *f)
{
    const FITSfile *image = ((fitsfile *)f->handle)->Fptr;
    int code = 0;
    return fits_is_compressed_image(f->handle, &code) && image->compress_type == RICE_1 &&
           image->zbitpix == FLOAT_IMG && image->rice_bytepix == 4 && image->cn_zscale > 0 && image->cn_zzero > 0 &&
           image->cn_zblank <= 0 && image->cn_uncompressed <= 0 && image->cn_bscale == 1 && image->cn_bzero == 0 &&
           image->cn_actual_bzero == 0;
}

static Status levels_of(FitsLevels *l, FitsFile *f, int64_t row)
{
    const FITSfile *image = ((fitsfile *)f->handle)->Fptr;
    int code = 0, any = 0;
    *l = (FitsLevels){.dithered = is_dithered(image),
                      .keeps_zero = image->quantize_method == SUBTRACTIVE_DITHER_2,
                      .has_blank = image->cn_zblank == -1,
                      .blank = (uint32_t)image->zblank};
    fits_read_col(f->handle, TDOUBLE, image->cn_zscale, row + 1, 1, 1, NULL, &l->scale, &any, &code);
    fits_read_col(f->handle, TDOUBLE, image->cn_zzero, row + 1, 1, 1, NULL, &l->zero, &any, &code);
    if (code) return FITS_FAIL(f, E_INPUT, code, "tile %lld: cannot read its scale", (long long)row);
    fitsfile_levels(l, row + (l->dithered ? image->dither_seed - 1 : 0));
    return OK;
}

/* n numbers of a tile; levels NULL = they are floats, big-endian, which become what cfitsio makes of them: 0 what is below
   FLT_MIN, NaN what is infinite. out NULL = they are passed over. */
static void put_numbers(float *out, FitsLevels *l, const uint32_t *numbers, int64_t n)
{
    if (l) {
        fitsfile_floats(out, l, numbers, n);
        return;
    }
    for (int64_t i = 0; out && i < n; i++) {
        const uint32_t bits = be32toh(numbers[i]), exponent = bits & 0x7f800000u;
        float value;
        memcpy(&value, &bits, sizeof value);
        out[i] = exponent == 0 ? 0 : exponent == 0x7f800000u ? NAN : value;
    }
}

/* Lines of a tile that lie in the box, to their places in it. */
static void place_tile(float *out, const Cut *c, const Tile *tile, FitsLevels *l, const uint32_t *numbers)
{
    int64_t at[FITS_AXES], low = c->from[0] - tile->first[0], high = c->to[0] - tile->first[0];
    if (low < 0) low = 0;
    if (high > tile->side[0]) high = tile->side[0];
    for (at[2] = tile->first[2]; at[2] < tile->first[2] + tile->side[2]; at[2]++)
        for (at[1] = tile->first[1]; at[1] < tile->first[1] + tile->side[1]; at[1]++, numbers += tile->side[0]) {
            const bool wanted = at[1] >= c->from[1] && at[1] < c->to[1] && at[2] >= c->from[2] && at[2] < c->to[2];
            const int64_t line = (at[2] - c->from[2]) * (c->to[1] - c->from[1]) + at[1] - c->from[1];
            float *to = wanted ? out + line * (c->to[0] - c->from[0]) + tile->first[0] + low - c->from[0] : NULL;
            put_numbers(NULL, l, numbers, low);
            put_numbers(to, l, numbers + low, high - low);
            put_numbers(NULL, l, numbers + high, tile->side[0] - high);
        }
}

/* A tile that the quantisation could not hold: gzipped floats, where *done. */
static Status read_gzipped(bool *done, float *out, FitsFile *f, Codes *codes, const Cut *c, const Tile *tile)
{
    const int column = ((fitsfile *)f->handle)->Fptr->cn_gzip_data;
    const size_t size = (size_t)tile->n_pixels * sizeof *codes->numbers;
    LONGLONG length = 0;
    TRY(tile_length(&length, f, column, tile->row));
    if (length == 0) return OK;
    TRY(read_codes(codes, f, column, tile->row, length));
    *done = gzip_unpack(codes->numbers, size, codes->bytes, (size_t)length);
    if (*done) place_tile(out, c, tile, NULL, codes->numbers);
    return OK;
}

/* *done is false where the tile is kept in another way. */
static Status read_tile(bool *done, float *out, FitsFile *f, Codes *codes, const Cut *c, const Tile *tile)
{
    const FITSfile *image = ((fitsfile *)f->handle)->Fptr;
    LONGLONG length = 0;
    FitsLevels levels;
    *done = false;
    TRY(tile_length(&length, f, image->cn_compressed, tile->row));
    TRY(room_for_numbers(codes, f, tile->n_pixels));
    if (length == 0) return read_gzipped(done, out, f, codes, c, tile);
    TRY(levels_of(&levels, f, tile->row));
    if (levels.scale == 1 && levels.zero == 0) return OK;
    TRY(read_codes(codes, f, image->cn_compressed, tile->row, length));
    *done = codes_end(image, RICE_1, codes, length, tile->n_pixels);
    if (!*done) return FITS_FAIL(f, E_INPUT, 0, "tile %lld: its compressed pixels are damaged", (long long)tile->row);
    place_tile(out, c, tile, &levels, codes->numbers);
    return OK;
}

Status fitsfile_read_tiles(bool *done, float *out, FitsFile *f, const int64_t from[FITS_AXES],
                           const int64_t to[FITS_AXES])
{
    Cut c;
    Codes codes = {0};
    Status st = OK;
    int64_t t[FITS_AXES];
    *done = is_usual(f);
    if (!*done) return OK;
    TRY(cut_of(&c, f, from, to));
    for (before_first(t, &c); st == OK && *done && next_tile(t, &c);) {
        const Tile tile = tile_at(&c, t);
        st = read_tile(done, out, f, &codes, &c, &tile);
    }
    close_codes(&codes);
    return st;
}
