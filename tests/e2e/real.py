"""What the real files hold, read with astropy, compared with what the program made of them.

    real.py sky RELEASE            writes a sweep with positions inside the real brick 0959p805, which has no sources
    real.py rows OUTPUT DESI LEGACY    every row of catalog.h5: is it the row of its file, are its embeddings those of
                                       its spectrum and cutout by the oracle's encoders
"""

import os
import sys

import h5py
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

import cutouts
import spectra
from check import Report, parse_config, text_of, texts_of
from embeddings import compare
from encoders import Model

UNREADABLE = 2
NO_SPECTRUM = 1 << 9


def write_sweep(release):
    """Twelve positions: most where the brick's only band has data, one in a corner without, two of another brick."""
    image = f"{release}/south/coadd/095/0959p805/legacysurvey-0959p805-image-g.fits.fz"
    with fits.open(image) as f, fits.open(image.replace("image", "invvar")) as g:
        wcs = WCS(f[1].header)
        good = g[1].data[76:-76, 76:-76] > 0
    y, x = np.nonzero(good)
    pick = np.linspace(0, len(x) - 1, 9).astype(int)
    y, x = np.append(y[pick] + 76, 76), np.append(x[pick] + 76, 3500)
    ra, dec = wcs.all_pix2world(x + 0.3, y - 0.4, 0)
    corner = WCS(fits.getheader(f"{release}/south/coadd/110/1102p240/legacysurvey-1102p240-image-z.fits.fz", 1))
    more = corner.all_pix2world([20, 99.5], [60, 3], 0)  # a brick of 100 x 100 pixels: the window does not fit
    ra, dec = np.append(ra, more[0]), np.append(dec, more[1])
    n = len(ra)
    columns = [
        fits.Column("RELEASE", "I", array=np.full(n, 6000)),
        fits.Column("BRICKID", "J", array=np.append(np.full(n - 2, 656000), [0, 0])),
        fits.Column("OBJID", "J", array=np.arange(n)),
        fits.Column("TYPE", "4A", array=["EXP"] * n),
        fits.Column("RA", "D", array=ra),
        fits.Column("DEC", "D", array=dec),
        *(fits.Column(f"FLUX_{b}", "E", array=np.full(n, 100.0)) for b in "GRZ"),
        *(fits.Column(f"NOBS_{b}", "I", array=np.ones(n)) for b in "GRZ"),
        fits.Column("MASKBITS", "I", array=np.zeros(n)),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(f"{release}/sweep/sweep-090p080-100p085.fits")


def coadd_exposures(data, rows):
    """Good exposures weighted by ivar where the mask is 0: (flux, ivar, mask 0) of one arm each."""
    status = data["FIBERMAP"]["FIBERSTATUS"][rows]
    good = rows[(status & ~np.int32(1 << 3)) == 0] if ((status & ~np.int32(1 << 3)) == 0).any() else rows
    for arm in "BRZ":
        ivar = np.where(data[f"{arm}_MASK"][good] == 0, data[f"{arm}_IVAR"][good], 0).astype(float)
        weight = ivar.sum(axis=0)
        flux = np.divide((ivar * data[f"{arm}_FLUX"][good]).sum(axis=0), weight, out=np.zeros(len(weight)), where=weight > 0)
        yield arm, flux, weight, np.zeros(len(weight), np.uint32)


def arms_of(path, row, targetid):
    """(flux, ivar, mask, first pixel on the merged grid) of the three arms of a row."""
    if not os.path.exists(path):
        path += ".gz"
    with fits.open(path) as f:
        data = {h.name: h.data for h in f[1:]}
        if "FIBERMAP" in data:
            rows = np.flatnonzero(data["FIBERMAP"]["TARGETID"] == targetid)
        else:
            rows = np.array([row])
        if os.path.basename(path).startswith("spectra-"):
            arms = list(coadd_exposures(data, rows))
        else:
            one = lambda arm, kind: data[f"{arm}_{kind}"][rows[0]]
            arms = [
                (a, one(a, "FLUX"), one(a, "IVAR"), one(a, "MASK") if f"{a}_MASK" in data else np.zeros(len(one(a, "FLUX")), np.uint32))
                for a in "BRZ"
            ]
        start = {a: int(np.argmin(np.abs(spectra.GRID - data[f"{a}_WAVELENGTH"][0]))) for a in "BRZ"}
    return [(np.array(flux), np.array(ivar), np.array(mask, np.uint32), start[a]) for a, flux, ivar, mask in arms]


def check_rows(output, desi, legacy):
    report = Report("real files")
    with h5py.File(f"{output}/catalog.h5") as f:
        files = [n.decode() for n in f["files"][:]]
        rows = {k: f[k][:] for k in ("TARGETID", "FILE", "ROW", "RA", "DEC", "HAS_SPECTRUM", "HAS_IMAGE")}
        n_rejected = len(f["rejected/TARGETID"])
    with h5py.File(f"{output}/embeddings.h5") as f:
        config = parse_config(text_of(f.attrs["config"]))
        data = {k: f[k][()] for k in f}
    report.same(rows["TARGETID"], data["object_id"], "object_id is the TARGETID of the catalogue")
    model, names = Model(config), [f"{files[k]}:{r}" for k, r in zip(rows["FILE"], rows["ROW"])]

    images = cutouts.Images({"release": {"images": {"root": legacy, "release": "dr6"}}})
    n = len(names)
    flux, pixels = [None] * n, [None] * n
    spectrum_flag, image_flag = np.zeros(n, np.int32), np.zeros(n, np.int32)
    for i in range(n):
        if rows["HAS_SPECTRUM"][i]:
            try:
                arms = arms_of(f"{desi}/{files[rows['FILE'][i]]}", rows["ROW"][i], rows["TARGETID"][i])
                flux[i], spectrum_flag[i], _ = spectra.merge(arms, config["spectra"])
            except Exception:
                spectrum_flag[i] = UNREADABLE
            if spectrum_flag[i] & spectra.FATAL:
                flux[i] = None
        else:
            spectrum_flag[i] = NO_SPECTRUM
        if not np.isfinite(rows["RA"][i]):
            image_flag[i] = 1 << 11
            continue
        pixels[i], image_flag[i], _, _ = images.cutout(rows["RA"][i], rows["DEC"][i], config["images"])
        if image_flag[i] & cutouts.FATAL & ~(cutouts.MISSING_BAND | cutouts.NO_COVERAGE):
            pixels[i] = None
    report.same(spectrum_flag, data["spectrum_flag"], "spectrum_flag", names)
    if rows["HAS_IMAGE"].any():
        report.same(np.where(rows["HAS_IMAGE"] > 0, image_flag, 1 << 10), data["image_flag"], "image_flag", names)
    for kind, single, given, encode in (
        ("spectrum", "specformer", flux, model.spectrum),
        ("image", "astrodino", pixels, model.image),
    ):
        made = [encode(g) if g is not None else None for g in given]
        if not any(made):
            continue
        for which, name in enumerate((f"{kind}_embeddings", f"{single}_embeddings")):
            width = next(len(m[which]) for m in made if m)
            mine = np.array([m[which] if m else np.full(width, np.nan) for m in made])
            compare(report, mine, data[name], data[f"{kind}_flag"], names, name)
    report.say(f"{n} rows, {n_rejected} rejected; {report.held} properties hold, {report.broken} do not")
    return report.broken


if __name__ == "__main__":
    if sys.argv[1] == "sky":
        write_sweep(sys.argv[2])
    else:
        sys.exit(check_rows(*sys.argv[2:5]) > 0)
