"""The bricks of the Legacy Surveys, as published: rows of 0.25 degrees in DEC, an even number of columns in each."""

import math
from functools import lru_cache

SIZE = 0.25


@lru_cache(maxsize=None)
def row_columns(row):
    dec = -90 + SIZE * row
    if row == 0 or row == 720:
        return 1
    return int(math.ceil(360 / SIZE * math.cos(math.radians(max(0.0, abs(dec) - SIZE / 2))) / 2) * 2)


@lru_cache(maxsize=None)
def first_id(row):
    return 1 + sum(row_columns(r) for r in range(row))


class Brick:
    def __init__(self, row, column):
        n = row_columns(row)
        self.row, self.column = row, column % n
        self.id = first_id(row) + self.column
        self.ra = (self.column + 0.5) * 360 / n
        self.dec = -90 + SIZE * row
        ra, dec = f"{self.ra * 1e4:07.0f}", f"{abs(self.dec) * 1e4:06.0f}"
        self.name = ra[:4] + ("p" if self.dec >= 0 else "m") + dec[:3]


def brick_at(ra, dec):
    row = int((dec + 90 + SIZE / 2) / SIZE)
    return Brick(row, int(ra % 360 / 360 * row_columns(row)))


def around(ra, dec):
    """Bricks near a position, in order of BRICKID: all whose images could show it (they reach 0.131 degrees)."""
    own = brick_at(ra, dec)
    found = []
    for row in range(max(own.row - 1, 0), min(own.row + 1, 720) + 1):
        n = row_columns(row)
        centre = int(ra % 360 / 360 * n)
        found += [Brick(row, c % n) for c in range(centre - 2, centre + 3)]
    return sorted({b.id: b for b in found}.values(), key=lambda b: b.id)
