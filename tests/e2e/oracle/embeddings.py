"""embeddings.h5 against survey files + encoders of our own."""

import h5py
import numpy as np

import cutouts
import spectra
from check import parse_config, text_of, texts_of
from encoders import Model, units

# The program computes in single precision. The official modules in single precision differ from themselves in double by
# up to 1e-6 of the largest value, another order of summation by two or three times that; 1e-6 was seen here too.
# Wrong versions of this file's encoders and cutouts were tried and do not pass: layernorms with each other's eps, a
# window off by one pixel, the nearest pixel of a neighbour rounded down, one more section of a spectrum, N for N - 1.
TOLERANCE = 2e-5
STATS_TOLERANCE = 1e-6  # stored as single


def check_weights(report):
    known = [-0.7591482400894165, 0.3005714416503906, 0.9660730361938477, 0.33762216567993164]
    report.check(
        list(units("image_encoder.backbone.cls_token", 4, 777)) == known,
        "the deterministic weights are those of the specification",
    )


def compare(report, mine, theirs, flags, names, words):
    """Row by row, each by its own largest value; returns the worst."""
    report.check(mine.shape == theirs.shape, f"{words}: shape", f"{mine.shape} here, {theirs.shape} there")
    report.same(
        np.isnan(mine).any(axis=1),
        np.isnan(theirs).any(axis=1),
        f"{words}: NaN exactly where nothing could be embedded",
        names,
    )
    report.check(
        (np.isnan(theirs).any(axis=1) == np.isnan(theirs).all(axis=1)).all(),
        f"{words}: a row is NaN as a whole or not at all",
    )
    good = ~np.isnan(mine).any(axis=1) & ~np.isnan(theirs).any(axis=1)
    size = np.abs(mine[good]).max(axis=1)
    off = np.abs(mine[good] - theirs[good]).max(axis=1) / size
    rows = np.flatnonzero(good)
    bad = [
        f"\n    row {rows[i]} {names[rows[i]]} flag {flags[rows[i]]}: {off[i]:.1e}"
        for i in np.argsort(-off)[:5]
        if off[i] > TOLERANCE
    ]
    report.check(
        not bad,
        f"{words}: equal within {TOLERANCE:.0e} of the row's maximum",
        f"{(off > TOLERANCE).sum()} of {len(off)} rows are not{''.join(bad)}",
    )
    # The comparison means something: another object's embedding would not pass.
    apart = np.abs(mine[good] - np.roll(mine[good], 1, axis=0)).max(axis=1) / size
    report.check(
        good.sum() < 2 or np.median(apart) > 50 * TOLERANCE,
        f"{words}: objects differ by far more than the tolerance",
        f"median {np.median(apart):.1e}",
    )
    report.say(
        f"{words}: {good.sum()} rows, largest difference {off.max() if len(off) else 0:.1e} "
        f"(neighbours differ by {np.median(apart):.1e})"
    )


def check_sets(report, rows, data, chosen, pixels, flux, model):
    """Both embeddings of both modalities for the chosen rows; None in pixels or flux = nothing may be embedded."""
    names = [rows.names[i] for i in chosen]
    for kind, single, given, encode in (
        ("image", "astrodino", pixels, model.image),
        ("spectrum", "specformer", flux, model.spectrum),
    ):
        report.check(
            sum(g is not None for g in given) >= 12,
            f"at least 12 objects with an embedding of their {kind} are compared",
        )
        made = [encode(g) if g is not None else None for g in given]
        for which, name in enumerate((f"{kind}_embeddings", f"{single}_embeddings")):
            width = next(len(m[which]) for m in made if m)
            mine = np.array([m[which] if m else np.full(width, np.nan) for m in made])
            compare(report, mine, data[name][chosen], data[f"{kind}_flag"][chosen], names, name)


def check_embeddings(report, rows, path, every):
    """`rows` is the catalogue of the program, whose content is checked elsewhere. Flags and statistics of all rows are
    compared, embeddings of one row of `every` and of all whose flags are not the usual ones. Returns how many cutouts
    reach beyond their brick's image.
    """
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

    usual = lambda flag: flag == np.bincount(flag).argmax()
    chosen = np.flatnonzero((np.arange(rows.n) % every == 0) | ~usual(image_flag) | ~usual(spectrum_flag))
    check_sets(report, rows, data, chosen, [pixels[i] for i in chosen], [flux[i] for i in chosen], Model(config))
    return beyond
