"""probes.h5 and scores.csv again, from embeddings.h5 and the labels and fluxes of catalog.h5."""

import csv

import h5py
import numpy as np

from check import parse_config, text_of

INPUTS = {  # (encoder, modality): the embeddings that lie side by side
    ("astroclip", "image"): ["image_embeddings"],
    ("astroclip", "spectrum"): ["spectrum_embeddings"],
    ("astroclip", "both"): ["image_embeddings", "spectrum_embeddings"],
    ("astrodino", "image"): ["astrodino_embeddings"],
    ("specformer", "spectrum"): ["specformer_embeddings"],
    ("none", "photometry"): ["photometry"],  # of the catalogue: see photometry()
    ("astroclip", "spectrum-to-image"): ["image_embeddings"],
    ("astroclip", "image-to-spectrum"): ["spectrum_embeddings"],
}
TAUGHT_BY = {"spectrum-to-image": "spectrum", "image-to-spectrum": "image"}  # whose fits are applied
LANDMARKS, NEAREST = 1024, 5  # train rows that a score of OOD looks at; how many of them count
BINS, BIN_ROWS = 10, 50
SPLITS = ["train", "val", "test"]
SCORES = ["n", "r2", "rmse", "bias", "sigma_nmad", "outlier_fraction"]
FEW = 10  # val rows below which intervals and the limit of OOD come from train rows

# All in double on both sides, by other routes: here an orthogonal decomposition of the rows, there normal equations,
# which square the condition number.
FIT_TOLERANCE = 1e-7
SUM_TOLERANCE = 1e-11  # the same sums in another order
CSV_TOLERANCE = 1e-5  # six digits


def photometry(rows):
    """g - r, r - z, r and r^2 in magnitudes; NaN in rows where not every flux is positive."""
    flux = np.stack([rows["FLUX_" + b].astype(float) for b in "GRZ"], axis=1)
    flux[~(np.isfinite(flux) & (flux > 0)).all(axis=1)] = np.nan
    g, r, z = (22.5 - 2.5 * np.log10(flux)).T
    return np.stack([g - r, r - z, r, r * r], axis=1).astype(np.float32)


class Input:
    """What a probe sees: features, rows that have them, mean and population standard deviation of train rows."""

    def __init__(self, data, sets, split):
        self.x = np.concatenate([data[s].astype(float) for s in sets], axis=1)
        self.usable = np.isfinite(self.x).all(axis=1)
        train = self.x[self.usable & (split == 0)]
        self.mean = train.mean(axis=0)
        std = np.sqrt(((train - self.mean) ** 2).mean(axis=0))
        self.std = np.where(std > 0, std, 1.0)
        self.standard = (self.x - self.mean) / self.std
        landmarks = np.flatnonzero(self.usable & (split == 0))
        assert len(landmarks) <= LANDMARKS  # with more, a hash of TARGETID would choose
        self.score = np.full(len(self.x), np.nan)
        for i in np.flatnonzero(self.usable):
            others = self.standard[landmarks[landmarks != i]]
            distance = np.sort(np.sqrt(((others - self.standard[i]) ** 2).sum(axis=1)))[:NEAREST]
            self.score[i] = distance.mean() / np.sqrt(self.x.shape[1])
        reference = self.usable & (split == (1 if (self.usable & (split == 1)).sum() >= FEW else 0))
        self.limit = np.quantile(self.score[reference], 0.99)


def ridge(x, y, penalty):
    """Least sum of (y - b - w x)^2 + penalty |w|^2, b free: centre both, add sqrt(penalty) times the unit matrix."""
    mx, my = x.mean(axis=0), y.mean()
    rows = np.concatenate([x - mx, np.sqrt(penalty) * np.eye(x.shape[1])])
    w = np.linalg.lstsq(rows, np.concatenate([y - my, np.zeros(x.shape[1])]), rcond=None)[0]
    return w, my - mx @ w


def leave_one_out(x, y, penalty):
    """Mean squared residual of each row predicted from all others, from the hat matrix."""
    centred = x - x.mean(axis=0)
    hat = centred @ np.linalg.solve(centred.T @ centred + penalty * np.eye(x.shape[1]), centred.T) + 1 / len(x)
    return (((y - hat @ y) / (1 - np.diag(hat))) ** 2).mean()


def scores(truth, prediction, redshift):
    """In the order of SCORES; redshifts are judged by dz = (prediction - truth) / (1 + truth), but for R2 and RMSE."""
    n, off = len(truth), prediction - truth
    if n == 0:
        return [0] + [np.nan] * 5
    spread = ((truth - truth.mean()) ** 2).sum()
    r2 = 1 - (off**2).sum() / spread if spread > 0 else np.nan
    rmse = np.sqrt((off**2).mean())
    if not redshift:
        return [n, r2, rmse, off.mean(), np.nan, np.nan]
    dz = off / (1 + truth)
    return [n, r2, rmse, dz.mean(), 1.4826 * np.median(np.abs(dz - np.median(dz))), (np.abs(dz) > 0.15).mean()]


class Fit:
    """A fit as probes.h5 has it."""

    def __init__(self, group, encoder, modality, probe, name):
        self.encoder, self.modality, self.probe, self.property = encoder, modality, probe, name
        for key in ("lambda", "intercept", "label_min", "label_max"):
            setattr(self, "penalty" if key == "lambda" else key, float(group.attrs[key]))
        self.weight = group["weight"][()] if "weight" in group else np.array([np.nan])
        self.scores, self.calibration = group["scores"][()], group["calibration"][()]
        self.edges = self.calibration[1:-1, 0]
        self.unit = text_of(group.attrs["unit"])
        self.prediction = None  # of our own fit, for the property table


    def interval(self, magnitude):
        """Per row: std and the ends of the intervals, as offsets from the value."""
        which = np.where(np.isfinite(magnitude), 1 + np.searchsorted(self.edges, magnitude, side="right"), 0)
        which = np.where(len(self.calibration) > 1, which, 0)
        return self.calibration[which][:, 2:7]


def conformal(residual):
    """n, std, and the order statistics of conformal prediction for 68 % and 95 %."""
    r, n = np.sort(residual), len(residual)
    if n == 0:
        return [0] + [np.nan] * 5

    def at(rank):
        return r[min(max(int(rank), 1), n) - 1]

    return [n, r.std(), at(np.floor(0.16 * (n + 1))), at(np.ceil(0.84 * (n + 1))), at(np.floor(0.025 * (n + 1))),
            at(np.ceil(0.975 * (n + 1)))]


def check_calibration(report, words, fit, residual, magnitude):
    bright = np.isfinite(magnitude)
    bins = max(min(BINS, bright.sum() // BIN_ROWS), 1 if bright.any() else 0)
    if not report.check(len(fit.calibration) == 1 + bins, f"{words}: bins of magnitude", len(fit.calibration) - 1):
        return
    report.close(conformal(residual), fit.calibration[0, 1:7], FIT_TOLERANCE, f"{words}: intervals")
    edges = [np.quantile(magnitude[bright], b / bins) for b in range(1, bins)]
    report.close(edges, fit.edges, SUM_TOLERANCE, f"{words}: edges of the bins")
    for b in range(bins):
        low, high = ([-np.inf] + edges)[b], (edges + [np.inf])[b]
        here = bright & (magnitude >= low) & (magnitude < high)
        report.close(conformal(residual[here]), fit.calibration[1 + b, 1:7], FIT_TOLERANCE, f"{words}: intervals of bin {b}")


def check_fit(report, fit, inp, y, split, config, magnitude, teacher=None):
    """One property learnt from one input."""
    words = f"{fit.encoder} {fit.modality} {fit.property}"
    known = inp.usable & np.isfinite(y)
    learned = teacher[1] if teacher else inp
    train = learned.usable & np.isfinite(y) & (split == 0)
    fit.prediction = np.full(len(y), np.nan)
    if train.sum() < config["min_rows"]:
        report.check(np.isnan(fit.weight).all(), f"{words}: no fit from {train.sum()} rows")
        return
    lambdas = config["ridge"]["lambdas"]
    report.check(fit.penalty in lambdas, f"{words}: lambda is one of the list", fit.penalty)
    x = learned.standard[train]
    w, b = ridge(x, y[train], fit.penalty)
    report.close([y[train].min(), y[train].max()], [fit.label_min, fit.label_max], 0, f"{words}: range of labels")
    if teacher:
        report.check((fit.weight == teacher[0].weight).all(), f"{words}: the weights of who teaches it")
    report.close(w, fit.weight, FIT_TOLERANCE, f"{words}: weights")
    report.close(b, fit.intercept, FIT_TOLERANCE, f"{words}: intercept")
    # Which folds chose lambda is the program's affair; leaving out one row at a time must find it nearly as good as the
    # best. With fewer rows than twice the features, small lambdas fit anything and the two estimates part.
    if len(x) > 2 * x.shape[1] and fit.penalty in lambdas:
        loo = [leave_one_out(x, y[train], p) for p in lambdas]
        off = loo[lambdas.index(fit.penalty)] / min(loo)
        report.check(off < 1.25, f"{words}: lambda is near the best of the list", f"{off:.3f} of the least error")

    fit.prediction[inp.usable] = b + inp.standard[inp.usable] @ w
    theirs = fit.intercept + inp.standard @ fit.weight
    report.close(fit.prediction, np.where(inp.usable, theirs, np.nan), FIT_TOLERANCE, f"{words}: predictions")
    for s, name in enumerate(SPLITS):
        rows = known & (split == s)
        mine = scores(y[rows], fit.prediction[rows], fit.property == "z")
        for value, stored, score in zip(mine, fit.scores[s], SCORES):
            report.close(value, stored, FIT_TOLERANCE, f"{words}: {score} of {name}", scale=max(1.0, abs(value)))
    reference = known & (split == (1 if (known & (split == 1)).sum() >= FEW else 0))
    residual = (y - fit.prediction)[reference]
    check_calibration(report, words, fit, residual, magnitude[reference])


def check_csv(report, path, fits):
    """scores.csv says what probes.h5 says, for every fit and split."""
    with open(path, newline="") as f:
        table = list(csv.DictReader(f))
    found = {(r["property"], r["encoder"], r["modality"], r["probe"], r["split"]): r for r in table}
    wanted = {(f.property, f.encoder, f.modality, f.probe, s) for f in fits for s in SPLITS}
    report.check(
        set(found) == wanted and len(table) == len(wanted),
        "scores.csv has one row per fit and split",
        set(found) ^ wanted,
    )
    for f in fits:
        for s, split in enumerate(SPLITS):
            row = found.get((f.property, f.encoder, f.modality, f.probe, split))
            if row is None:
                continue
            stored = [float(row[c]) if row[c] else np.nan for c in SCORES]
            report.close(
                f.scores[s][: len(SCORES)],
                stored,
                CSV_TOLERANCE,
                f"scores.csv {f.encoder} {f.modality} {f.property} {split}",
                scale=1.0 + np.nanmax(np.abs(stored[1:] + [0])),
            )
            report.check(not (row["accuracy"] or row["f1"] or row["nll"]), "scores that a regression has not are empty")


def check_probes(report, rows, output):
    """Returns the fits, with predictions of our own, and the inputs: for the property table."""
    with h5py.File(f"{output}/embeddings.h5", "r") as f:
        data = {k: f[k][()] for k in f if k.endswith("_embeddings")}
    data["photometry"] = photometry(rows)
    split, fits, inputs = rows["SPLIT"], [], {}
    with h5py.File(f"{output}/probes.h5", "r") as f:
        config = parse_config(text_of(f.attrs["config"]))["probe"]
        expected = {f"{e}_{m}" for (e, m), sets in INPUTS.items() if all(s in data for s in sets)}
        widths = {data[s].shape[1] for s in ("image_embeddings", "spectrum_embeddings") if s in data}
        if not config["crossed"] or len(widths) != 1 or not {"astroclip_image", "astroclip_spectrum"} <= expected:
            expected -= {f"astroclip_{m}" for m in TAUGHT_BY}
        flux = rows["FLUX_R"].astype(float)
        magnitude = np.where(flux > 0, 22.5 - 2.5 * np.log10(np.where(flux > 0, flux, 1)), np.nan)
        if not np.isfinite(data["photometry"][split == 0]).any():
            expected.discard("none_photometry")  # a catalogue without fluxes
        report.check(set(f) == expected, "an input for every embedding, and the photometry", set(f) ^ expected)
        for (encoder, modality), sets in INPUTS.items():
            if f"{encoder}_{modality}" not in f:
                continue
            group = f[f"{encoder}_{modality}"]
            inp = inputs[encoder, modality] = Input(data, sets, split)
            words = f"{encoder} {modality}"
            report.close(inp.mean, group["mean"][()], SUM_TOLERANCE, f"{words}: mean of train rows")
            report.close(inp.std, group["std"][()], SUM_TOLERANCE, f"{words}: standard deviation of train rows")
            if encoder == "none" or modality in TAUGHT_BY:
                inp.limit = np.nan  # nobody asks
            report.close(
                inp.limit,
                group.attrs["ood_quantile"],
                SUM_TOLERANCE,
                f"{words}: limit of the out-of-distribution score",
            )
            for s, name in enumerate(SPLITS):
                report.same(
                    [(inp.usable & (split == s)).sum()],
                    [group.attrs[f"usable_{name}_rows"]],
                    f"{words}: usable rows of {name}",
                )
            for probe in config["probes"]:
                report.check(set(group[probe]) == set(config["properties"]), f"{words}: a fit for every property")
                for name in config["properties"]:
                    fit = Fit(group[probe][name], encoder, modality, probe, name)
                    teacher = next(
                        ((t, inputs[encoder, t.modality]) for t in fits
                         if t.encoder == encoder and t.modality == TAUGHT_BY.get(modality) and t.property == name), None)
                    check_fit(report, fit, inp, rows.label[name], split, config, magnitude, teacher)
                    fits.append(fit)
    check_csv(report, f"{output}/scores.csv", fits)
    learnt = max(f.scores[0, 1] for f in fits)
    report.check(learnt > 0.5, "something was learnt at all", f"best R2 of train rows {learnt:.2f}")
    report.say(f"{len(fits)} fits, best R2 of train rows {learnt:.2f}")
    return fits, inputs, magnitude
