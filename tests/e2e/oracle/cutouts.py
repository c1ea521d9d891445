"""Cutouts of 152 x 152 pixels again, from the tile-compressed brick images, through astropy."""

import os

import numpy as np
from astropy.io import fits
from astropy.nddata.utils import overlap_slices
from astropy.wcs import WCS

from bricks import around, brick_at

N = 152
NO_BRICK, UNREADABLE, MISSING_BAND, NO_COVERAGE, BAD_SCALE, MASKED, MOSAIC, PADDED, NONFINITE, BAD_PIXELS = (
    1 << b for b in range(10)
)
FATAL = NO_BRICK | UNREADABLE | MISSING_BAND | NO_COVERAGE | BAD_SCALE | MASKED | 1 << 10 | 1 << 11 | 1 << 12


def window(hdu):
    """Something to cut boxes from: without reading the whole image where astropy can (since 5.3)."""
    return hdu.section if hasattr(hdu, "section") else hdu.data


class Band:
    """One band of one brick: pixels on demand. The image lies in HDU 1, the primary is empty."""

    def __init__(self, path):
        self.image = fits.open(path)
        self.header = self.image[1].header
        self.wcs = WCS(self.header)
        self.shape = (self.header["NAXIS2"], self.header["NAXIS1"])
        ivar = path.replace("-image-", "-invvar-")
        self.ivar = fits.open(ivar) if os.path.exists(ivar) else None

    def box(self, y0, y1, x0, x1):
        """Pixels of [y0, y1) x [x0, x1) inside the image, and where they hold data."""
        pixels = np.array(window(self.image[1])[y0:y1, x0:x1], dtype=np.float32)
        if self.ivar is None:
            return pixels, pixels != 0
        with np.errstate(invalid="ignore"):
            return pixels, np.array(window(self.ivar[1])[y0:y1, x0:x1]) > 0


class Images:
    def __init__(self, config):
        self.place = config["release"]["images"]
        self.band = {}

    def open(self, brick, band, region="south"):
        key = (brick.name, band, region)
        if key not in self.band:
            path = os.path.join(
                self.place["root"],
                self.place["release"],
                region,
                "coadd",
                brick.name[:3],
                brick.name,
                f"legacysurvey-{brick.name}-image-{band}.fits.fz",
            )
            self.band[key] = Band(path) if os.path.exists(path) else None
        return self.band[key]

    def beyond(self, own, band, region, ys, xs):
        """Values of pixels (ys, xs) of the own frame that lie outside its image: from the brick whose box holds them,
        else from any other that shows them, lowest BRICKID first, nearest pixel. Returns pixels, data there, shown."""
        ra, dec = own.wcs.all_pix2world(xs, ys, 0)
        pixels, data, shown = np.zeros(len(xs), np.float32), np.zeros(len(xs), bool), np.zeros(len(xs), bool)
        wanted = {}  # (band image, y, x) are read box by box, not pixel by pixel
        for i in range(len(xs)):
            home = brick_at(ra[i], dec[i])
            for brick in [home] + [b for b in around(ra[i], dec[i]) if b.id != home.id]:
                other = self.open(brick, band, region)
                if other is None or other is own:
                    continue
                x, y = other.wcs.all_world2pix(ra[i], dec[i], 0)
                x, y = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
                if 0 <= x < other.shape[1] and 0 <= y < other.shape[0]:
                    wanted.setdefault(id(other), (other, []))[1].append((i, y, x))
                    break
        for other, places in wanted.values():
            i, y, x = np.array(places).T
            value, good = other.box(y.min(), y.max() + 1, x.min(), x.max() + 1)
            pixels[i], data[i], shown[i] = value[y - y.min(), x - x.min()], good[y - y.min(), x - x.min()], True
        return pixels, data, shown

    def cutout(self, ra, dec, options, photsys="S"):
        """pixels (3, 152, 152) of g, r, z, flag, share of pixels with data in each band."""
        region = "north" if photsys == "N" else "south"
        brick = brick_at(ra, dec)
        bands = [self.open(brick, b, region) for b in "grz"]
        covered, inside = np.zeros((3, N, N), bool), np.ones((3, N, N), bool)  # inside: some brick shows the pixel
        pixels = np.zeros((3, N, N), np.float32)
        if not any(bands):
            return pixels, NO_BRICK, [0.0] * 3, 0
        flag, beyond = 0, 0
        for k, band in enumerate(bands):
            if band is None:
                flag |= MISSING_BAND
                continue
            x, y = (float(v) for v in band.wcs.all_world2pix(ra, dec, 0))
            x0, y0 = int(np.ceil(x - N / 2)), int(np.ceil(y - N / 2))
            (big_y, big_x), (small_y, small_x) = overlap_slices(
                band.shape, (N, N), (y, x), mode="partial"
            )  # what Cutout2D goes by
            assert big_x.start - small_x.start == x0 and big_y.start - small_y.start == y0
            pixels[k, small_y, small_x], covered[k, small_y, small_x] = band.box(
                big_y.start, big_y.stop, big_x.start, big_x.stop
            )
            outside = np.ones((N, N), bool)
            outside[small_y, small_x] = False
            if outside.any():
                oy, ox = np.nonzero(outside)
                pixels[k, oy, ox], covered[k, oy, ox], shown = self.beyond(band, "grz"[k], region, oy + y0, ox + x0)
                inside[k, oy, ox] = shown
                flag |= (MOSAIC if shown.any() else 0) | (PADDED if not shown.all() else 0)
                beyond = max(beyond, len(ox))
            broken = ~np.isfinite(pixels[k])
            if broken.any():
                flag |= NONFINITE
            pixels[k][broken] = 0
            flag |= BAD_PIXELS if (inside[k] & ~covered[k]).any() else 0
            covered[k] &= ~broken
            if not covered[k].any():
                flag |= NO_COVERAGE
            scale = np.sqrt(np.abs(np.linalg.det(band.wcs.pixel_scale_matrix))) * 3600
            if abs(scale / 0.262 - 1) > 0.01:
                flag |= BAD_SCALE
        some = [k for k in range(3) if covered[k].any()]
        if some and 1 - covered[some].all(axis=0).mean() > options["max_masked_fraction"]:
            flag |= MASKED
        return pixels, flag, covered.mean(axis=(1, 2)), beyond


def read_all(rows, options):
    """Cutout of every row (None where nothing may be embedded), flags, coverage; how many reach beyond their brick."""
    images = Images(rows.config)
    fatal = FATAL & ~(MISSING_BAND | NO_COVERAGE) if options["missing_band"] == "zero" else FATAL
    pixels, flags, stats, beyond = [], np.zeros(rows.n, np.int32), np.zeros((rows.n, 3)), 0
    for i in range(rows.n):
        cut, flags[i], stats[i], outside = images.cutout(rows["RA"][i], rows["DEC"][i], options, rows["PHOTSYS"][i])
        pixels.append(None if flags[i] & fatal else cut)
        beyond += outside > 0
    return pixels, flags, stats, beyond
