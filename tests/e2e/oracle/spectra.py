"""Spectra on the merged grid again: three arms of a coadd file to 7781 pixels, 3600..9824 Angstrom."""

import os

import numpy as np
from astropy.io import fits

from catalogue import redux

PIXELS = 7781
GRID = 3600.0 + 0.8 * np.arange(PIXELS)
NO_FILE, UNREADABLE, NO_ROW, BAD_GRID, NO_DATA, MASKED, MISSING_ARM, BAD_PIXELS, NONFINITE = (1 << b for b in range(9))
FATAL = NO_FILE | UNREADABLE | NO_ROW | BAD_GRID | NO_DATA | MASKED | 1 << 9 | 1 << 10


class Coadds:
    """One open coadd file at a time is enough: rows come in the order of their files."""

    def __init__(self, config):
        self.config, self.path, self.data = config, None, None

    def arms(self, row):
        """(flux, ivar, mask, first pixel on the merged grid) of B, R, Z, or a flag that says why there is nothing."""
        survey, program, pixel = row["SURVEY"], row["PROGRAM"], row["HEALPIX"]
        folder = f"{redux(self.config)}/healpix/{survey}/{program}/{pixel // 100}/{pixel}"
        path = f"{folder}/coadd-{survey}-{program}-{pixel}.fits"
        if path != self.path:
            self.path, self.data = path, None
            if os.path.exists(path):
                with fits.open(path) as f:
                    self.data = {
                        h.name: np.array(h.data)
                        for h in f[1:]
                        if "RESOLUTION" not in h.name and "FIBERMAP" not in h.name
                    }
                    self.data["TARGETID"] = np.array(f["FIBERMAP"].data["TARGETID"])
        if self.data is None:
            return NO_FILE, []
        at = np.flatnonzero(self.data["TARGETID"] == row["TARGETID"])
        if len(at) == 0:
            return NO_ROW, []
        arms = []
        for arm in "BRZ":
            wave = self.data[f"{arm}_WAVELENGTH"]
            start = int(np.argmin(np.abs(GRID - wave[0])))
            if np.abs(GRID[start : start + len(wave)] - wave).max() > 1e-4:
                return BAD_GRID, []
            arms.append(tuple(self.data[f"{arm}_{k}"][at[0]] for k in ("FLUX", "IVAR", "MASK")) + (start,))
        return 0, arms


def merge(arms, options):
    """flux, ivar (double), flag, statistics of one spectrum."""
    weight = np.zeros(PIXELS)
    product = np.zeros(PIXELS)
    verbatim = np.zeros(PIXELS)
    cover = np.zeros(PIXELS, int)
    flag, stats, spans = 0, [], []
    for flux, ivar, mask, start in arms:
        flux, ivar = flux.astype(float), ivar.astype(float)
        assert mask.dtype == np.uint32  # astropy has added BZERO
        broken = ~np.isfinite(flux) | ~np.isfinite(ivar)
        if broken.any():
            flag |= NONFINITE
        flux = np.where(np.isfinite(flux), flux, 0)
        ivar = np.where(broken | (mask != 0) | ~(ivar > 0), 0, ivar)
        span = slice(start, start + len(flux))
        spans.append(span)
        weight[span] += ivar
        product[span] += ivar * flux
        verbatim[span] = flux
        cover[span] += 1
        good = ivar > 0
        if not good.any():
            flag |= MISSING_ARM
        stats.append(np.median(flux[good] * np.sqrt(ivar[good])) if good.any() else 0.0)
    flux = np.divide(product, weight, out=np.zeros(PIXELS), where=weight > 0)
    if options["merge"] == "desispec-2024":  # outside overlaps as in the file, whatever its weight
        flux = np.where(cover == 1, verbatim, flux)
    bad = weight == 0
    if options["bad_pixels"] == "zero":
        flux = np.where(bad, 0, flux)
    if bad.any():
        flag |= BAD_PIXELS
    if bad.all():
        flag |= NO_DATA
    if bad.mean() > options["max_masked_fraction"]:
        flag |= MASKED
    return flux.astype(np.float32), flag, [bad[s].mean() for s in spans] + stats


def read_all(rows, options):
    """Flux of every row (None where nothing may be embedded), flags, statistics."""
    coadds = Coadds(rows.config)
    flux, flags, stats = [], np.zeros(rows.n, np.int32), np.full((rows.n, 6), np.nan)  # no spectrum, no statistics
    for i in range(rows.n):
        flag, arms = coadds.arms({k: rows[k][i] for k in ("SURVEY", "PROGRAM", "HEALPIX", "TARGETID")})
        merged = None
        if not flag:
            merged, flag, stats[i] = merge(arms, options)
        flags[i] = flag
        flux.append(None if flag & FATAL else merged)
    return flux, flags, stats
