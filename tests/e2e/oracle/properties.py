"""properties.fits: the published table, row by row against the catalogue, the embeddings and fits of our own."""

import hashlib
import os
import warnings

import h5py
import numpy as np
from astropy.io import fits as pyfits

from check import texts_of

STEM = {"z": "ZPRED", "logmstar": "LOGMSTAR", "age": "TAGE_MW", "logz": "LOG_ZMW", "logssfr": "LOG_SSFR"}
UNIT = {"age": "Gyr"}
KEYS = (
    "TARGETID SURVEY PROGRAM HEALPIX TARGET_RA TARGET_DEC RELEASE BRICKID BRICK_OBJID PHOTSYS Z ZWARN SPECTYPE".split()
)
KEYS += ["ZCAT_PRIMARY"]
SPECTRUM_STATS = "FRAC_MASKED_B FRAC_MASKED_R FRAC_MASKED_Z SNR_B SNR_R SNR_Z".split()
# Stored as single: half a unit in the last place, or one where two fits put a value on both sides of the middle.
TOLERANCE = 3e-7


def check_file(report, path):
    """Checksums of every HDU, of the file, and a FITS structure that astropy does not complain about."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pyfits.open(path, checksum=True) as f:
            f.verify("exception")
            names = [h.name for h in f]
            for h in f:
                ok = h.verify_checksum() == 1 and h.verify_datasum() == 1
                report.check(ok, f"CHECKSUM and DATASUM of {h.name}")
                comments = [h.header.comments[k] for k in h.header if k.startswith("TTYPE")]
                report.check(all(c and len(c) <= 46 for c in comments), f"columns of {h.name} say what they are")
    report.check(not said, "astropy has nothing to say about the file", [str(w.message)[:100] for w in said])
    report.check(names == ["PRIMARY", "PROPERTIES", "PROBES"], "HDUs", names)
    with open(path + ".sha256sum") as f:
        line = f.read().split()
    with open(path, "rb") as f:
        report.check(line == [hashlib.sha256(f.read()).hexdigest(), os.path.basename(path)], "sha256sum of the file")


def check_keys(report, rows, table, flags):
    n = len(table)
    report.check(n == rows.n, "as many rows as the catalogue", f"{n} and {rows.n}")
    for key in KEYS:
        column = {"TARGET_RA": "RA", "TARGET_DEC": "DEC"}.get(key, key)
        mine = rows[column].astype(bool) if key == "ZCAT_PRIMARY" else rows[column]
        theirs = texts_of(table[key]) if table[key].dtype.kind in "SU" else table[key]
        report.same(mine, theirs, f"column {key}", rows.names)
    report.same(np.array(["train", "val", "test"])[rows["SPLIT"]], texts_of(table["SPLIT"]), "column SPLIT", rows.names)
    report.same(flags["image_flag"], table["IMAGE_FLAG"], "column IMAGE_FLAG", rows.names)
    report.same(flags["spectrum_flag"], table["SPECTRUM_FLAG"], "column SPECTRUM_FLAG", rows.names)
    for s, name in enumerate(SPECTRUM_STATS):
        report.same(flags["spectrum_stats"][:, s], table[name], f"column {name}", rows.names)


def check_predictions(report, table, units, fits, inputs, split, magnitude):
    """Values, widths and intervals of the published inputs; PRED_FLAG; units."""
    flag = np.where(split == 0, 1 << 5, 0)
    for bit, (stem, inp) in enumerate(inputs.items()):
        report.close(inp.score, table[f"OOD_{stem}"], TOLERANCE, f"column OOD_{stem}")
        with np.errstate(invalid="ignore"):
            flag |= np.where(inp.score > inp.limit, 1 << (2 + bit), 0)
        if stem != "BOTH":
            flag |= np.where(inp.usable, 0, 1 << bit)
    for fit in fits:
        if fit.encoder == "astroclip" and fit.modality.upper() in inputs:
            with np.errstate(invalid="ignore"):
                flag |= np.where((fit.prediction < fit.label_min) | (fit.prediction > fit.label_max), 1 << 6, 0)
    report.same(flag.astype(np.int32), table["PRED_FLAG"], "column PRED_FLAG")
    wanted = set(
        KEYS + SPECTRUM_STATS + ["SPLIT", "IMAGE_FLAG", "SPECTRUM_FLAG", "PRED_FLAG"] + [f"OOD_{s}" for s in inputs]
    )
    for fit in fits:
        if fit.encoder != "astroclip" or fit.modality.upper() not in inputs:
            continue
        name = f"{STEM[fit.property]}_{fit.modality.upper()}"
        value, here = fit.prediction, np.isfinite(fit.prediction)
        std, l68, u68, l95, u95 = fit.interval(magnitude).T
        for suffix, mine in (
            ("", value),
            ("_STD", np.where(here, std, np.nan)),
            ("_L68", value + l68),
            ("_U68", value + u68),
            ("_L95", value + l95),
            ("_U95", value + u95),
        ):
            wanted.add(name + suffix)
            report.close(mine, table[name + suffix], TOLERANCE, f"column {name + suffix}")
            report.check(
                units.get(name + suffix) == UNIT.get(fit.property), f"unit of {name + suffix}", units.get(name + suffix)
            )
    report.check(set(table.names) == wanted, "these columns and no others", set(table.names) ^ wanted)
    report.check(units.get("TARGET_RA") == "deg" and units.get("TARGET_DEC") == "deg", "positions are in deg")


def check_probe_table(report, table, fits, inputs_by_name):
    report.check(len(table) == len(fits), "one row of PROBES per fit")
    at = {tuple(texts_of(r[c] for c in ("ENCODER", "MODALITY", "PROBE", "PROPERTY"))): r for r in table}
    for fit in fits:
        row = at.get((fit.encoder, fit.modality, fit.probe, fit.property))
        words = f"PROBES {fit.encoder} {fit.modality} {fit.property}"
        if not report.check(row is not None, f"{words} is there"):
            continue
        published = fit.encoder == "astroclip" and fit.modality in ("image", "spectrum", "both")
        column = f"{STEM[fit.property]}_{fit.modality.upper()}" if published else ""
        report.check(row["COLUMN"].strip() == column, f"{words}: its column", row["COLUMN"])
        report.check(row["UNIT"].strip() == UNIT.get(fit.property, ""), f"{words}: unit", row["UNIT"])
        stored = [
            row[c]
            for c in (
                "LAMBDA",
                "N_TRAIN",
                "N_TEST",
                "R2",
                "RMSE",
                "BIAS",
                "SIGMA_NMAD",
                "OUTLIER_FRACTION",
                "STD",
                "L68",
                "U68",
                "OOD_LIMIT",
            )
        ]
        limit = inputs_by_name[fit.encoder, fit.modality].limit
        mine = [fit.penalty, fit.scores[0, 0], *fit.scores[2][:6], *fit.calibration[0, 2:5], limit]
        for a, b in zip(mine, stored):
            report.close(a, b, 1e-12, words)  # the same doubles; the limit is a sum of ours


def check_properties(report, rows, output, fits, inputs, magnitude):
    path = os.path.join(output, "properties.fits")
    check_file(report, path)
    with h5py.File(os.path.join(output, "embeddings.h5"), "r") as f:
        flags = {k: f[k][()] for k in ("image_flag", "spectrum_flag", "spectrum_stats")}
    published = {m.upper(): inputs["astroclip", m] for m in ("image", "spectrum", "both")}
    with pyfits.open(path) as f:
        hdu = f["PROPERTIES"]
        units = {c.name: c.unit for c in hdu.columns if c.unit}
        check_keys(report, rows, hdu.data, flags)
        check_predictions(report, hdu.data, units, fits, published, rows["SPLIT"], magnitude)
        check_probe_table(report, f["PROBES"].data, fits, inputs)
        report.check(
            f[0].header["SPECPROD"] == rows.config["release"]["spectra"]["specprod"], "SPECPROD is in the header"
        )
        report.say(f"{len(hdu.data)} rows of {len(hdu.columns)} columns")
