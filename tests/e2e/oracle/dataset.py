"""dataset.h5 against survey files: every entry, by its catalogue row."""

import os

import h5py
import numpy as np

import cutouts
import spectra
from check import parse_config, text_of

# Merged spectra are sums of a few products in double; one rounding to single apart at most.
TOLERANCE = 1.2e-7


def check_table(report, rows, group, numbers, wanted, mine, flags):
    """One modality: rows that have it, in catalogue order, each with flag, split and numbers."""
    data = {k: group[k][()] for k in group}
    report.same(np.flatnonzero(wanted), data["row"], f"{numbers}: rows that have one, in catalogue order")
    chosen = data["row"]
    names = [rows.names[i] for i in chosen]
    report.same(rows["TARGETID"][chosen], data["targetid"], f"{numbers}: targetid", names)
    report.same(rows["SPLIT"][chosen], data["split"], f"{numbers}: split", names)
    report.same(flags[chosen], data["flag"], f"{numbers}: flag", names)
    theirs = data[numbers].reshape(len(chosen), -1)
    expect = np.array([np.full(theirs.shape[1], np.nan) if mine[i] is None else mine[i].ravel() for i in chosen])
    fatal = (data["flag"] & group.attrs["fatal"]) != 0
    report.same(np.isnan(expect).all(axis=1), fatal, f"{numbers}: fatal flags where nothing can be used", names)
    report.check(0 < fatal.sum() < len(fatal) // 2, f"{numbers}: some entries are void, most are not", fatal.sum())
    report.check(group.attrs["samples"] == (~fatal).sum(), f"{numbers}: attribute samples")
    if numbers == "pixels":
        report.same(expect.astype(np.float32), theirs, "pixels: the same bits", names)
        return
    size = np.nanmax(np.abs(np.where(fatal[:, None], 1, expect)), axis=1)
    report.close(expect / size[:, None], theirs / size[:, None], TOLERANCE, "flux", scale=1)


def check_dataset(report, rows, path):
    with h5py.File(path, "r") as f:
        config = parse_config(text_of(f.attrs["config"]))
        flux, spectrum_flag, _ = spectra.read_all(rows, config["spectra"])
        pixels, image_flag, _, _ = cutouts.read_all(rows, config["images"])
        check_table(report, rows, f["spectra"], "flux", rows["HAS_SPECTRUM"] != 0, flux, spectrum_flag)
        check_table(report, rows, f["images"], "pixels", rows["HAS_IMAGE"] != 0, pixels, image_flag)
        report.check(f.attrs["rows_in"] == rows.n, "rows_in")
        same = os.path.join(os.path.dirname(path), "embeddings.h5")
        if os.path.exists(same):
            with h5py.File(same, "r") as e:
                for group, name in (("spectra", "spectrum_flag"), ("images", "image_flag")):
                    report.same(
                        e[name][()][f[group]["row"][()]], f[group]["flag"][()], f"{name} is that of the embeddings"
                    )
