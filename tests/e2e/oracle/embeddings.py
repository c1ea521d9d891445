"""embeddings.h5 against survey files + encoders of our own."""
import h5py
import numpy as np

import cutouts
import spectra
from check import parse_config, text_of, texts_of
from encoders import Model, units

# The program computes in single precision. The official modules in single precision differ from themselves in double by up to 1e-6 of the largest
# value, another order of summation by two or three times that; a shifted pixel, a swapped band or a wrong section differ by 1e-2 and more.
TOLERANCE = 2e-5
STATS_TOLERANCE = 1e-6  # stored as single


def check_weights(report):
    known = [-0.7591482400894165, 0.3005714416503906, 0.9660730361938477, 0.33762216567993164]
    report.check(list(units("image_encoder.backbone.cls_token", 4, 777)) == known, "the deterministic weights are those of the specification")


def compare(report, mine, theirs, flags, names, words):
    """Row by row, each by its own largest value; returns the worst."""
    report.check(mine.shape == theirs.shape, f"{words}: shape", f"{mine.shape} here, {theirs.shape} there")
    report.same(np.isnan(mine).any(axis=1), np.isnan(theirs).any(axis=1), f"{words}: NaN exactly where nothing could be embedded", names)
    report.check((np.isnan(theirs).any(axis=1) == np.isnan(theirs).all(axis=1)).all(), f"{words}: a row is NaN as a whole or not at all")
    good = ~np.isnan(mine).any(axis=1) & ~np.isnan(theirs).any(axis=1)
    size = np.abs(mine[good]).max(axis=1)
    off = np.abs(mine[good] - theirs[good]).max(axis=1) / size
    rows = np.flatnonzero(good)
    bad = [f"\n    row {rows[i]} {names[rows[i]]} flag {flags[rows[i]]}: {off[i]:.1e}" for i in np.argsort(-off)[:5] if off[i] > TOLERANCE]
    report.check(not bad, f"{words}: equal within {TOLERANCE:.0e} of the row's maximum", f"{(off > TOLERANCE).sum()} of {len(off)} rows are not{''.join(bad)}")
    # The comparison means something: another object's embedding would not pass. Half an embedding may depend little on the object; most rows must.
    apart = np.abs(mine[good] - np.roll(mine[good], 1, axis=0)).max(axis=1) / size
    report.check(np.median(apart) > 50 * TOLERANCE, f"{words}: objects differ by far more than the tolerance", f"median {np.median(apart):.1e}")
    report.say(f"{words}: {good.sum()} rows, largest difference {off.max() if len(off) else 0:.1e} (neighbours differ by {np.median(apart):.1e})")


def check_embeddings(report, rows, path):
    """`rows` is the catalogue of the program, whose content is checked elsewhere."""
    check_weights(report)
    with h5py.File(path, "r") as f:
        config = parse_config(text_of(f.attrs["config"]))
        data = {k: f[k][()] for k in f}
    report.same(rows["TARGETID"], data["object_id"], "object_id is the TARGETID of the catalogue", rows.names)
    for column, name in (("SURVEY", "survey"), ("PROGRAM", "program")):
        report.same(rows[column], texts_of(data[name]), name, rows.names)
    for column, name in (("RA", "ra"), ("DEC", "dec"), ("HEALPIX", "healpix")):
        report.same(rows[column], data[name], name, rows.names)

    flux, spectrum_flag, spectrum_stats = spectra.read_all(rows, config["spectra"])
    pixels, image_flag, image_stats, beyond = cutouts.read_all(rows, config["images"])
    report.same(spectrum_flag, data["spectrum_flag"], "spectrum_flag", rows.names)
    report.same(image_flag, data["image_flag"], "image_flag", rows.names)
    report.close(spectrum_stats, data["spectrum_stats"], STATS_TOLERANCE, "spectrum_stats")
    report.close(image_stats, data["image_stats"], STATS_TOLERANCE, "image_stats", scale=1)
    report.say(f"{beyond} cutouts reach beyond their brick's image")

    model = Model(config)
    made = {}
    for i in range(rows.n):
        for kind, given, encode in (("image", pixels, model.image), ("spectrum", flux, model.spectrum)):
            aligned, single = encode(given[i]) if given[i] is not None else (None, None)
            for name, row in ((f"{kind}_embeddings", aligned), ("astrodino_embeddings" if kind == "image" else "specformer_embeddings", single)):
                made.setdefault(name, []).append(row)
    for name, values in made.items():
        width = next(len(v) for v in values if v is not None)
        mine = np.array([np.full(width, np.nan) if v is None else v for v in values])
        compare(report, mine, data[name], data["image_flag" if name[0] in "ia" else "spectrum_flag"], rows.names, name)
    report.check(sum(p is not None for p in pixels) >= 12 and sum(s is not None for s in flux) >= 12, "at least 12 objects of each kind were compared")
    return image_flag, spectrum_flag, beyond
