#!/usr/bin/env python3
"""Rows without a sky, for memory.sh: what of a campaign grows with its rows can be measured with a million of them in a minute.

rows.py sky FOLDER ROWS   a redshift catalogue of ROWS galaxies (FOLDER/desi) and a table of their labels (FOLDER/labels.hdf5). As
                          dense as a survey: 100 galaxies in a brick of the sky, bricks side by side. No spectra, no images: every row gets its flags.
rows.py fill OUTPUT       numbers in place of the NaN of OUTPUT/embeddings/volume-*.h5, so that probes have something to learn from
"""
import glob
import os
import sys

import numpy as np


def sky(folder, rows):
    from astropy.io import fits
    from astropy.table import Table
    import h5py

    rng = np.random.default_rng(4)
    brick = np.arange(rows) // 100  # of 0.25 deg, near the equator: 200 a row of declination
    ra = 100 + 0.25 * (brick % 200) + rng.uniform(0, 0.25, rows)
    dec = 0.25 * (brick // 200) + rng.uniform(0, 0.25, rows)
    order = rng.permutation(rows)  # catalogues are not sorted as ours will be
    z = rng.uniform(0.02, 0.5, rows)
    targetid = 39627000000000000 + np.arange(rows, dtype=np.int64)
    kinds = {
        "TARGETID": targetid, "Z": z, "ZERR": np.full(rows, 1e-5), "ZWARN": np.zeros(rows, np.int64),
        "SPECTYPE": np.full(rows, "GALAXY"), "DELTACHI2": np.full(rows, 100.0), "HEALPIX": (brick // 4).astype(np.int32),
        "COADD_FIBERSTATUS": np.zeros(rows, np.int32), "TARGET_RA": ra, "TARGET_DEC": dec,
        "OBJTYPE": np.where(rng.uniform(size=rows) < 0.02, "SKY", "TGT"), "ZCAT_PRIMARY": np.ones(rows, bool),
    }
    path = f"{folder}/desi/spectro/redux/mock/zcatalog/zpix-main-bright.fits"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    hdu = fits.BinTableHDU(Table({name: value[order] for name, value in kinds.items()}), name="ZCATALOG")
    hdu.header["SURVEY"], hdu.header["PROGRAM"] = "main", "bright"
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True, checksum=True)
    os.makedirs(f"{folder}/legacy", exist_ok=True)
    part = order
    label = np.zeros(part.size, [("TARGETID", "i8"), ("Z_HP", "f8"), ("PROVABGS_LOGMSTAR_BF", "f8"), ("TAGE_MW", "f8"), ("Z_MW", "f8"), ("AVG_SFR", "f8")])
    label["TARGETID"], label["Z_HP"] = targetid[part], z[part]
    label["PROVABGS_LOGMSTAR_BF"] = 9.5 + 3 * z[part] + 0.2 * rng.normal(size=part.size)
    label["TAGE_MW"], label["Z_MW"], label["AVG_SFR"] = rng.uniform(1, 12, part.size), rng.uniform(0.005, 0.03, part.size), rng.uniform(0.1, 9, part.size)
    with h5py.File(f"{folder}/labels.hdf5", "w") as f:
        f["__astropy_table__"] = label


def fill(output):
    import h5py

    rng = np.random.default_rng(5)
    for path in sorted(glob.glob(f"{output}/embeddings/volume-*.h5")):
        with h5py.File(path, "r+") as f:
            for name in f:
                if name.endswith("_embeddings") or (f[name].ndim == 2 and not name.endswith("_stats")):
                    f[name][...] = rng.normal(size=f[name].shape).astype(np.float32)


if __name__ == "__main__":
    sky(sys.argv[2], int(sys.argv[3])) if sys.argv[1] == "sky" else fill(sys.argv[2])
