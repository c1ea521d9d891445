/* brick.h - the bricks of the Legacy Surveys: 0.25 degree boxes in rows of constant DEC, numbered from the south
   pole (the algorithm of desiutil.brick; formats.md B10). A brick's image is a TAN square of 3600 pixels of 0.262"
   that reaches 21.6" beyond the box at the equator. Local, serial, no state. */
#ifndef DATA_BRICK_H
#define DATA_BRICK_H

#include <stdbool.h>
#include <stdint.h>

enum { N_BRICKS = 662174, N_BRICK_ROWS = 721, BRICK_NAME = 12, BRICK_LIST = 64 };
#define BRICK_SIZE 0.25 /* degrees */

typedef struct {
    int32_t id;                  /* BRICKID, 1 .. N_BRICKS                               */
    int32_t row, col;            /* 0-based; rows grow with DEC, columns with RA         */
    double ra, dec;              /* centre, deg                                          */
    double ra1, ra2, dec1, dec2; /* the box, deg; low edges belong to it, high edges do not */
    char name[BRICK_NAME];       /* "0001p000": centre cut (not rounded) to 0.1 deg      */
} Brick;

/* False when (ra, dec) is no position: not finite, |dec| > 90, or RA outside [-360, 720]; RA is taken modulo 360. */
bool brick_is_position(double ra, double dec);

/* The brick whose box holds a position; false as above. */
bool brick_at(Brick *out, double ra, double dec);
int32_t brick_id_at(double ra, double dec); /* its BRICKID alone, 0 = none: for one pixel after the other */

/* By row and column, by BRICKID; false when there is none. */
bool brick_at_row(Brick *out, int64_t row, int64_t col);
bool brick_with_id(Brick *out, int64_t id);

/* Bricks in a row of the grid; 0 outside. */
int64_t brick_columns(int64_t row);

/* TARGETID of an object of the imaging surveys: OBJID, BRICKID and RELEASE in its lowest 58 bits; -1 where one does not
   fit its bits. */
int64_t brick_targetid(int64_t release, int64_t brickid, int64_t objid);
/* The other way round; false for TARGETIDs that no imaging survey gave (sky, mock, Gaia, secondary targets). */
bool brick_of_targetid(int16_t *release, int32_t *brickid, int32_t *objid, int64_t targetid);

/* True when a TAN image of `half` degrees to each side of the brick's centre shows the position. */
bool brick_shows(const Brick *b, double ra, double dec, double half);

/* All bricks whose image of that half side shows the position, in order of BRICKID, at most BRICK_LIST; returns how
   many. half <= 0.5. */
int brick_list(Brick out[BRICK_LIST], double ra, double dec, double half);

#endif
