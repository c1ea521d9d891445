"""spoil - adds to a mock sky what surveys contain and the mock lacks, through astropy: not by the program itself.

    python spoil.py DESI_ROOT LEGACY_ROOT SPECPROD

Redshift catalogue: objects at corners of their bricks, whose cutouts reach beyond the image; two rows of one key; a row
whose photometry is found by position only; a row whose spectrum is not in its file. Coadds: masked pixels that have
weight, NaN, infinite and negative values, in and outside the overlaps of the arms. Images: NaN pixels in a file that
astropy compressed, a missing weight map."""

import glob
import os
import sys

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from bricks import SIZE, brick_at, row_columns

HALF = 76


def corners(legacy):
    """Positions a little inside their brick's box whose window of 152 pixels leaves the brick's image."""
    found = []
    for path in sorted(glob.glob(f"{legacy}/*/*/coadd/*/*/*-image-g.fits.fz")):
        header = fits.getheader(path, 1)
        wcs, n = WCS(header), header["NAXIS1"]
        brick = brick_at(header["CRVAL1"], header["CRVAL2"])
        step = 360 / row_columns(brick.row)
        for side in (-1, 1):
            for end in (-1, 1):
                ra = (brick.ra + side * (step / 2 - 1e-4 / np.cos(np.radians(brick.dec)))) % 360
                dec = brick.dec + end * (SIZE / 2 - 1e-4)
                x, y = wcs.all_world2pix(ra, dec, 0)
                assert brick_at(ra, dec).id == brick.id
                if min(x, y) < HALF - 1 or max(x, y) > n - HALF:
                    found.append((ra, dec))
    return found


def spoil_catalogue(redux, places):
    """Rows of zpix-main-bright, from the end of the plain ones: those at the start are in the dark catalogue too."""
    path = f"{redux}/zcatalog/v1/zpix-main-bright.fits"
    with fits.open(path) as f:
        header, table = f["ZCATALOG"].header, f["ZCATALOG"].data.copy()
    seen, count = np.unique(table["TARGETID"], return_counts=True)
    plain = np.flatnonzero(
        (table["TARGETID"] > 0)
        & (table["OBJTYPE"] == "TGT")
        & (table["COADD_FIBERSTATUS"] == 0)
        & (table["ZWARN"] == 0)
    )
    rows = list(plain[1::2])
    for place in places:
        at = rows.pop()
        table["TARGET_RA"][at], table["TARGET_DEC"][at] = place
    by_position, stranger = rows.pop(), rows.pop()
    table["RELEASE"][by_position], table["BRICK_OBJID"][by_position] = 9012, 3999999
    table["TARGETID"][stranger] += 1 << 21
    twins = table[[rows.pop(), rows.pop()]].copy()
    twins["Z"] += 0.5
    twins["DELTACHI2"][0] -= 5.0  # worse than the row that is there
    twins["DELTACHI2"][1] += 5.0  # better
    both = fits.BinTableHDU.from_columns(fits.ColDefs(table.columns), nrows=len(table) + len(twins), header=header)
    for name in table.names:
        both.data[name][: len(table)], both.data[name][len(table) :] = table[name], twins[name]
    both.name = "ZCATALOG"
    fits.HDUList([fits.PrimaryHDU(), both]).writeto(path, overwrite=True)


def spoil_coadds(redux):
    """Every third spectrum, at other pixels each; the arms overlap in the last 51 pixels of B and the last 126 of R."""
    for path in sorted(glob.glob(f"{redux}/healpix/*/*/*/*/coadd-*.fits")):
        with fits.open(path) as f:
            hdus = fits.HDUList([h.copy() for h in f])
        n = len(hdus["FIBERMAP"].data)
        for i in range(0, n, 3):
            at = 40 * i
            hdus["B_MASK"].data[i, 300 + at % 2000 : 320 + at % 2000] = 1 << 4
            hdus["B_MASK"].data[i, -30:-20] = np.uint32(1) << np.uint32(31)  # the bit that BZERO turns into a sign
            hdus["R_IVAR"].data[i, 20:26] = 0  # in the overlap: B alone counts; with the line above nothing is left
            hdus["R_FLUX"].data[i, 28] = np.nan
            hdus["R_FLUX"].data[i, 700] = np.nan
            hdus["R_IVAR"].data[i, 900:905] = 0  # flux stays in the file: the two ways to merge differ here
            hdus["R_FLUX"].data[i, 900:905] = 30.0
            hdus["R_IVAR"].data[i, -60:-40] = -1.0
            hdus["Z_IVAR"].data[i, 70] = np.inf
            hdus["Z_FLUX"].data[i, 1000] = -np.inf
            hdus["Z_MASK"].data[i, 2000:2004] = 1
        hdus.writeto(path, overwrite=True)


def spoil_images(legacy):
    """One band with NaN, packed again by astropy; one band of another brick without a weight map."""
    images = sorted(glob.glob(f"{legacy}/*/*/coadd/*/*/*-image-r.fits.fz"))
    path = images[0]
    with fits.open(path) as f:
        header, data = f[1].header, np.array(f[1].data)
    tractor = fits.getdata(glob.glob(f"{legacy}/*/*/tractor/*/tractor-{header['BRICKNAM']}.fits")[0])
    x, y = WCS(header).all_world2pix(tractor["ra"][:4], tractor["dec"][:4], 0)
    for cx, cy in zip(x.astype(int), y.astype(int)):
        data[max(cy - 5, 0) : cy + 6, max(cx - 5, 0) : cx + 1] = np.nan
    keep = {
        k: header[k]
        for k in ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
    }
    packed = fits.CompImageHDU(
        data,
        fits.Header(keep),
        compression_type="RICE_1",
        tile_shape=(100, 100),
        quantize_level=-1e-4,
        quantize_method=2,
        dither_seed=17,
    )
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(path, overwrite=True)
    os.remove(images[1].replace("-image-", "-invvar-"))


def main():
    desi, legacy, specprod = sys.argv[1:4]
    redux = f"{desi}/spectro/redux/{specprod}"
    places = corners(legacy)
    spoil_catalogue(redux, places)
    spoil_coadds(redux)
    spoil_images(legacy)
    print(f"spoil: {len(places)} objects moved to corners of their bricks")


if __name__ == "__main__":
    main()
