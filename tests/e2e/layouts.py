"""layouts - checks of tests/e2e/test_layouts.sh: the same mock sky, read in every layout of the surveys, gives the same
rows and the same embeddings; every source row is accounted for.

    python layouts.py WORK

WORK/NAME/ holds catalog.h5 and embeddings.h5 of each run, WORK/NAME.sky/ its sky, WORK/NAME.truth/truth.fits what is in
it. Source rows are counted from the files themselves, through astropy."""

import os
import sys

import h5py
import numpy as np
from astropy.io import fits

PLAIN, DEAD, BROKEN, SKY, NEGATIVE = 0, 3, 4, 5, 6  # DEFECT
NO_BRICK, MISSING_BAND = 8, 7
failures = []


def expect(holds, what):
    if not holds:
        failures.append(what)
        print("FAILED:", what)


def text(column):
    return np.array([x.decode().rstrip("\0 ") if isinstance(x, bytes) else x for x in column])


class Output:
    def __init__(self, work, name):
        self.name = name
        with h5py.File(f"{work}/{name}/catalog.h5") as f:
            self.row = {k: f[k][:] for k in f if isinstance(f[k], h5py.Dataset) and k != "files"}
            self.files = text(f["files"][:])
            self.rejected = {k: f["rejected"][k][:] for k in f["rejected"]}
            self.skipped = {k: f["skipped"][k][:] for k in f["skipped"]}
        with h5py.File(f"{work}/{name}/embeddings.h5") as f:
            self.spectrum = f["specformer_embeddings"][:] if "specformer_embeddings" in f else None
            self.image = f["astrodino_embeddings"][:] if "astrodino_embeddings" in f else None
            ids = f["object_id"][:]
        expect(np.array_equal(ids, self.row["TARGETID"]), f"{name}: embeddings are row by row the catalogue's objects")
        self.id, self.program = self.row["TARGETID"], text(self.row["PROGRAM"])
        self.index = {key: i for i, key in enumerate(zip(self.id.tolist(), self.program.tolist()))}
        expect(len(self.index) == len(self.id), f"{name}: one row per key")

    def reasons(self, part):
        names = text(self.rejected["REASONS"])
        count = {}
        for reason, n in zip(part["REASON"], part.get("ROWS", np.ones(len(part["REASON"]), int))):
            count[names[reason]] = count.get(names[reason], 0) + int(n)
        return count


def table(path, *names):
    with fits.open(path, memmap=False) as f:
        return f[next(name for name in names if name in f)].data


def account(out, root):
    """Rows of the source files = rows of the catalogue + rejected + skipped."""
    source = 0
    for path in out.files:
        path = path if os.path.exists(f"{root}/{path}") else path + ".gz"
        rows = table(f"{root}/{path}", "ZCATALOG", "REDSHIFTS", "FIBERMAP", "SWEEP")
        spectra = os.path.basename(path).startswith("spectra-")
        source += len(np.unique(rows["TARGETID"])) if spectra else len(rows)
    found = len(out.id) + len(out.rejected["ROW"]) + int(out.skipped["ROWS"].sum())
    expect(source == found and source > 0, f"{out.name}: {source} source rows, {found} accounted for")


def same_rows(a, b, tolerance=0.0):
    """Embeddings and redshifts of the bright program; dark files are lost differently in each layout."""
    keys = [k for k in a.index if k[1] == "bright"]
    expect(len(keys) > 40, f"{a.name}: {len(keys)} bright rows are too few to tell")
    expect(set(keys) == {k for k in b.index if k[1] == "bright"}, f"{a.name} and {b.name}: other rows")
    keys = [k for k in keys if k in b.index]
    i, k = np.array([[a.index[x], b.index[x]] for x in keys]).T
    x, y = a.spectrum[i], b.spectrum[k]
    if tolerance == 0:
        expect(x.tobytes() == y.tobytes(), f"{a.name} and {b.name}: embeddings of spectra differ")
    else:
        expect(np.array_equal(np.isnan(x), np.isnan(y)), f"{a.name} and {b.name}: other rows are NaN")
        worst = np.nanmax(np.abs(x - y)) / np.nanmax(np.abs(x))
        expect(worst <= tolerance, f"{a.name} and {b.name}: embeddings of spectra differ by {worst}")
    return i, k


def same_columns(a, b, i, k, *names):
    for name in names:
        x, y = a.row[name][i], b.row[name][k]
        good = np.array_equal(x, y) if x.dtype.kind in "iuS" else np.allclose(x, y, rtol=1e-6, equal_nan=True)
        expect(good, f"{a.name} and {b.name}: {name} differs")


def sample(out, truth, bad):
    """One row per target, the bright one, of all objects without one of these defects."""
    wanted = truth["TARGETID"][~np.isin(truth["DEFECT"], bad)]
    expect(np.array_equal(np.sort(out.id), np.sort(wanted)), f"{out.name}: not the objects that the cuts describe")
    expect(set(out.program) == {"bright"}, f"{out.name}: not the primary rows")
    dead = np.isin(out.id, truth["TARGETID"][truth["DEFECT"] == DEAD])
    expect(np.array_equal(np.isnan(out.spectrum).any(1), dead), f"{out.name}: spectra that are NaN")
    lost = np.isin(out.id, truth["TARGETID"][np.isin(truth["DEFECT"], [NO_BRICK, MISSING_BAND])])
    expect(np.array_equal(np.isnan(out.image).any(1), lost), f"{out.name}: images that are NaN")
    sought = truth[[np.flatnonzero(truth["TARGETID"] == t)[0] for t in out.id]]
    expect(np.allclose(out.row["Z"], sought["Z"]), f"{out.name}: redshifts are not the truth")


def image_set(out, work):
    """The published selection, applied to what the sweeps were written from."""
    rows = table(f"{work}/dr10.truth/truth.fits", "IMAGING")
    rows = rows[rows["IN_SWEEP"].astype(bool)]
    kind = text(rows["TYPE"])
    with np.errstate(divide="ignore"):
        mag = 22.5 - 2.5 * np.log10(rows["FLUX_Z"])
    star, faint = kind == "PSF", ~(mag < 20)
    unseen = (rows["NOBS_G"] < 1) | (rows["NOBS_R"] < 1) | (rows["NOBS_Z"] < 1)
    taken = rows[~star & ~faint & ~unseen]
    order = np.argsort(taken["TARGETID"])
    mine = np.argsort(out.id)
    expect(np.array_equal(taken["TARGETID"][order], out.id[mine]), "dr10: not the objects of the published selection")
    if len(taken) != len(out.id):
        return
    for column, of in (("MASKBITS", "MASKBITS"), ("RELEASE", "RELEASE"), ("FLUX_Z", "FLUX_Z"), ("RA", "RA")):
        same = np.array_equal(taken[of][order], out.row[column][mine])
        expect(same, f"dr10: {column} is not that of the sweep")
    photo_z = np.where(taken["Z_PHOT"] < 0, np.nan, taken["Z_PHOT"])[order]
    expect(np.array_equal(photo_z, out.row["Z_PHOT_MEAN"][mine], equal_nan=True), "dr10: photometric redshifts")
    expect(np.isfinite(photo_z).sum() > 20, "dr10: too few photometric redshifts to tell")
    expect((out.row["MASKBITS"] >= 1 << 16).any(), "dr10: no bit of MASKBITS beyond the 16th")
    count = out.reasons(out.skipped)
    left = {"TYPE": star.sum(), "MAGNITUDE": (~star & faint).sum(), "EXPOSURES": (~star & ~faint & unseen).sum()}
    expect(count == {k: int(n) for k, n in left.items()}, f"dr10: left out {count}, not {left}")
    expect(np.isfinite(out.image).all(1).sum() > 20, "dr10: too few images were embedded")
    expect(out.row["HAS_SPECTRUM"].max() == 0 and set(out.program) == {""}, "dr10: rows with spectra")


def main(work):
    runs = ["edr", "dr1", "base", "dr2", "dr3", "tiles", "exposures", "redrock", "coadd", "tile_redrock", "dr10"]
    out = {name: Output(work, name) for name in runs}
    sky = {"base": "dr1", "exposures": "dr2", "redrock": "dr1", "coadd": "dr1", "tile_redrock": "tiles"}
    for name in runs:
        side = "legacy" if name == "dr10" else "desi"
        account(out[name], f"{work}/{sky.get(name, name)}.sky/{side}")

    truth = {name: table(f"{work}/{name}.truth/truth.fits", "TRUTH") for name in ("edr", "dr1")}
    sample(out["edr"], truth["edr"], [SKY, NEGATIVE, BROKEN])
    sample(out["dr1"], truth["dr1"], [SKY, NEGATIVE, BROKEN, DEAD])
    expect(set(text(out["edr"].row["SURVEY"])) == {"sv3"}, "edr: SURVEY is not sv3")

    base = out["base"]
    for name in ("dr2", "dr3", "tiles", "redrock", "coadd", "tile_redrock"):
        i, k = same_rows(base, out[name])
        same_columns(base, out[name], i, k, "RA", "DEC", "FLUX_R", "BRICKID", "SPECTYPE", "Z", "ZWARN", "TARGET_CLASS")
    same_rows(base, out["exposures"], 1e-5)  # float32 fluxes and weights of exposures, averaged
    expect(out["tiles"].reasons(out["tiles"].rejected).get("DUPLICATE", 0) > 0, "tiles: no target was on two tiles")
    expect((out["tiles"].row["TILEID"] > 0).all() and (out["dr3"].row["UNIQPIX"] > 0).all(), "rows do not name files")
    expect(len({int(np.log2(u // 4) // 2) for u in out["dr3"].row["UNIQPIX"]}) == 2, "dr3: pixels of one size only")

    # classes and quality cuts: of the -extra files, and of the companions of redrock
    shared = [key for key in out["dr2"].index if key in out["redrock"].index]
    i, k = np.array([[out["dr2"].index[x], out["redrock"].index[x]] for x in shared]).T
    same_columns(out["dr2"], out["redrock"], i, k, "TARGET_CLASS")
    a, b = out["dr2"], out["redrock"]
    good = [a.row["GOOD_Z"][i] & a.row["TARGET_CLASS"][i], b.row["GOOD_Z"][k] & b.row["TARGET_CLASS"][k]]
    expect(np.array_equal(*good), "dr2 and redrock: other redshifts are good for the class of their target")
    expect(np.bitwise_or.reduce(good[0]) == 0b1111, f"dr2: good redshifts of classes {np.bitwise_or.reduce(good[0]):b} only")

    for run in ("edr", "dr1"):
        a, b = out[run], base
        i, k = np.array([[x, b.index[(t, "bright")]] for x, t in enumerate(a.id.tolist()) if (t, "bright") in b.index]).T
        expect(len(i) == len(a.id) and a.spectrum[i].tobytes() == b.spectrum[k].tobytes(), f"{run}: spectra of base")
    image_set(out["dr10"], work)
    print(f"{len(runs)} runs, {sum(len(o.id) for o in out.values())} rows compared")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
