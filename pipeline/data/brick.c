/* brick.c - which brick a position lies in, and which bricks' images show it. Everything follows from the number of
   columns of each row, so there is no table to read: the 721 rows are counted once. */
#include "data/brick.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEGREE (M_PI / 180)

/* below[row]: bricks in all rows further south = BRICKID of the row's first brick, less one. */
static int32_t below[N_BRICK_ROWS + 1];
static pthread_once_t counted = PTHREAD_ONCE_INIT;

/* Rows are centred on -90, -89.75 .. 90. The edge nearer to the equator is the longer one and must fit the bricks:
   an even number of them; the polar caps are one brick each. */
static void count_rows(void)
{
    for (int row = 0; row < N_BRICK_ROWS; row++) {
        double dec = -90 + BRICK_SIZE * row;
        double edge = fmax(0, fabs(dec) - BRICK_SIZE / 2);
        bool cap = row == 0 || row == N_BRICK_ROWS - 1;
        int32_t columns = cap ? 1 : 2 * (int32_t)ceil(360 / BRICK_SIZE * cos(edge * DEGREE) / 2);
        below[row + 1] = below[row] + columns;
    }
}

int64_t brick_targetid(int64_t release, int64_t brickid, int64_t objid)
{
    bool fits = objid >= 0 && objid < 1 << 22 && brickid >= 0 && brickid < 1 << 20 && release >= 0 && release < 1 << 16;
    return fits ? objid | brickid << 22 | release << 42 : -1;
}

bool brick_of_targetid(int16_t *release, int32_t *brickid, int32_t *objid, int64_t targetid)
{
    enum { FIRST_RELEASE = 1000, LAST_RELEASE = INT16_MAX }; /* below: classes of secondary targets and of sky */
    int64_t number = targetid >> 42;
    if (number < FIRST_RELEASE || number > LAST_RELEASE) return false;
    *release = (int16_t)number;
    *brickid = (int32_t)(targetid >> 22 & ((1 << 20) - 1));
    *objid = (int32_t)(targetid & ((1 << 22) - 1));
    return true;
}

int64_t brick_columns(int64_t row)
{
    pthread_once(&counted, count_rows);
    return row < 0 || row >= N_BRICK_ROWS ? 0 : below[row + 1] - below[row];
}

static double wrap(double ra)
{
    ra = fmod(ra, 360);
    if (ra < 0) ra += 360;
    return ra < 360 ? ra : 0; /* -1e-17 + 360 is 360 */
}

bool brick_is_position(double ra, double dec)
{
    return isfinite(ra) && isfinite(dec) && fabs(dec) <= 90 && ra >= -360 && ra <= 720;
}

static int64_t clamp(int64_t i, int64_t low, int64_t high) { return i < low ? low : i > high ? high : i; }

static int64_t row_of(double dec)
{
    return clamp((int64_t)floor((dec + 90 + BRICK_SIZE / 2) / BRICK_SIZE), 0, N_BRICK_ROWS - 1);
}

/* Names are cut to tenths of a degree, not rounded (23.75 is "237"), after rounding to 1e-4 degrees. */
static void set_name(Brick *b)
{
    char ra[32], dec[32];
    snprintf(ra, sizeof ra, "%07.0f", b->ra * 1e4);
    snprintf(dec, sizeof dec, "%06.0f", fabs(b->dec) * 1e4);
    snprintf(b->name, sizeof b->name, "%.4s%c%.3s", ra, b->dec >= 0 ? 'p' : 'm', dec);
}

/* After brick_columns, which counts the rows. */
static void fill(Brick *b, int64_t row, int64_t col)
{
    memset(b, 0, sizeof *b);
    double width = 360.0 / (below[row + 1] - below[row]);
    b->row = (int32_t)row;
    b->col = (int32_t)col;
    b->id = (int32_t)(below[row] + col + 1);
    b->ra1 = width * (double)col;
    b->ra2 = width * (double)(col + 1);
    b->ra = (b->ra1 + b->ra2) / 2;
    b->dec = -90 + BRICK_SIZE * (double)row;
    b->dec1 = fmax(-90, b->dec - BRICK_SIZE / 2);
    b->dec2 = fmin(90, b->dec + BRICK_SIZE / 2);
    set_name(b);
}

bool brick_at_row(Brick *out, int64_t row, int64_t col)
{
    if (col < 0 || col >= brick_columns(row)) return false;
    fill(out, row, col);
    return true;
}

static bool locate(int64_t *row, int64_t *col, double ra, double dec)
{
    if (!brick_is_position(ra, dec)) return false;
    *row = row_of(dec);
    int64_t columns = brick_columns(*row);
    *col = clamp((int64_t)(wrap(ra) / 360 * (double)columns), 0, columns - 1);
    return true;
}

bool brick_at(Brick *out, double ra, double dec)
{
    int64_t row, col;
    return locate(&row, &col, ra, dec) && brick_at_row(out, row, col);
}

int32_t brick_id_at(double ra, double dec)
{
    int64_t row, col;
    return locate(&row, &col, ra, dec) ? (int32_t)(below[row] + col + 1) : 0;
}

bool brick_with_id(Brick *out, int64_t id)
{
    pthread_once(&counted, count_rows);
    if (id < 1 || id > below[N_BRICK_ROWS]) return false;
    int64_t row = 0;
    while (below[row + 1] < id) row++;
    return brick_at_row(out, row, id - 1 - below[row]);
}

bool brick_shows(const Brick *b, double ra, double dec, double half)
{
    double a = (ra - b->ra) * DEGREE, d = dec * DEGREE, d0 = b->dec * DEGREE;
    double to_centre = sin(d0) * sin(d) + cos(d0) * cos(d) * cos(a); /* cosine of the distance */
    if (!(to_centre > 0)) return false;
    double xi = cos(d) * sin(a) / to_centre;
    double eta = (cos(d0) * sin(d) - sin(d0) * cos(d) * cos(a)) / to_centre;
    return fabs(xi) <= half * DEGREE && fabs(eta) <= half * DEGREE;
}

/* How far in RA a brick centre may be that lies within `radius` degrees of a position at `dec`: all around when the
   pole is within reach. */
static double ra_reach(double dec, double radius)
{
    if (fabs(dec) + radius >= 90) return 180;
    return asin(sin(radius * DEGREE) / cos(dec * DEGREE)) / DEGREE;
}

int brick_list(Brick out[BRICK_LIST], double ra, double dec, double half)
{
    if (!brick_is_position(ra, dec)) return 0;
    ra = wrap(ra);
    double radius = half * 1.4143; /* the corner of the square */
    double reach = ra_reach(dec, radius);
    int n = 0;
    for (int64_t row = row_of(fmax(-90, dec - radius)); row <= row_of(fmin(90, dec + radius)); row++) {
        int64_t columns = brick_columns(row);
        double width = 360.0 / (double)columns;
        int64_t first = (int64_t)floor((ra - reach) / width) - 1;
        int64_t count = (int64_t)floor((ra + reach) / width) + 2 - first;
        if (count >= columns) first = 0, count = columns;
        int start = n;
        for (int64_t c = first; c < first + count && n < BRICK_LIST; c++) {
            fill(&out[n], row, (c + 2 * columns) % columns);
            if (brick_shows(&out[n], ra, dec, half)) n++;
        }
        /* Columns that wrap at RA 0 come out of order: sort the row's few by id. */
        for (int i = start + 1; i < n; i++)
            for (int j = i; j > start && out[j - 1].id > out[j].id; j--) {
                Brick other = out[j];
                out[j] = out[j - 1];
                out[j - 1] = other;
            }
    }
    return n;
}
