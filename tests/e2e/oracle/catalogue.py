"""The catalogue again, from the survey's files: source rows, cuts, keys, order, photometry, labels."""

import glob
import os

import h5py
import numpy as np
from astropy.io import fits

from bricks import brick_at
from check import parse_config, text_of, texts_of

FIELDS = (
    "TARGETID SURVEY PROGRAM RA DEC HEALPIX Z ZERR ZWARN SPECTYPE OBJTYPE DELTACHI2 COADD_FIBERSTATUS ZCAT_PRIMARY "
    "RELEASE BRICKID BRICK_OBJID BRICKNAME PHOTSYS FLUX_G FLUX_R FLUX_Z EBV".split()
)
TEXTS = {"SURVEY", "PROGRAM", "SPECTYPE", "OBJTYPE", "BRICKNAME", "PHOTSYS"}


class Rows:
    """Columns of catalog.h5 as arrays, texts without padding."""

    def __init__(self, path):
        with h5py.File(path, "r") as f:
            self.config = parse_config(text_of(f.attrs["config"]))
            names = [k for k in f if isinstance(f[k], h5py.Dataset)]
            self.column = {k: f[k][()] for k in names}
            self.label = {k: f["labels"][k][()] for k in f["labels"]}
            self.manifest = {k: f["manifest"][k][()] for k in f["manifest"]}
            self.rejected = {k: f["rejected"][k][()] for k in f["rejected"]}
        for k in TEXTS | {"files"}:
            self.column[k] = texts_of(self.column[k])
        for k in ("PATH", "ROLE"):
            self.manifest[k] = texts_of(self.manifest[k])
        self.n = len(self.column["TARGETID"])
        self.names = [
            f"{t}/{s}/{p}" for t, s, p in zip(self.column["TARGETID"], self.column["SURVEY"], self.column["PROGRAM"])
        ]

    def __getitem__(self, key):
        return self.column[key]


def redux(config):
    spectra = config["release"]["spectra"]
    return os.path.join(spectra["root"], "spectro", "redux", spectra["specprod"])


def source_tables(config):
    """(path below the root, columns of its rows) of every redshift file, in order of path."""
    base, root = redux(config), config["release"]["spectra"]["root"]
    if config["release"]["spectra"]["redshifts"] == "redrock":
        paths = sorted(glob.glob(f"{base}/healpix/*/*/*/*/redrock-*.fits"))
    else:
        paths = sorted(glob.glob(f"{base}/zcatalog/v1/zpix-*.fits"))
    for path in paths:
        survey, program = os.path.basename(path).split(".")[0].split("-")[1:3]
        with fits.open(path) as f:
            if "ZCATALOG" in f:
                tables = [f["ZCATALOG"].data]
                pixel = None
            else:
                tables = [f[name].data for name in ("REDSHIFTS", "FIBERMAP", "TSNR2") if name in f]
                pixel = f[0].header["HPXPIXEL"]
            n = len(tables[0])
            column = {c: t[c].copy() for t in reversed(tables) for c in t.names}
        column.setdefault("SURVEY", [survey] * n)
        column.setdefault("PROGRAM", [program] * n)
        column.setdefault("HEALPIX", [pixel] * n)
        column.setdefault("ZCAT_PRIMARY", [None] * n)
        column.setdefault("TSNR2_LRG", [-np.inf] * n)
        column["RA"], column["DEC"] = column["TARGET_RA"], column["TARGET_DEC"]
        yield os.path.relpath(path, root), n, column


def source_rows(config):
    rows = []
    for path, n, column in source_tables(config):
        for i in range(n):
            row = {k: (text_of(column[k][i]) if k in TEXTS else column[k][i]) for k in FIELDS}
            row.update(FILE=path, ROW=i, DEPTH=column["TSNR2_LRG"][i])
            rows.append(row)
    return rows


def reason_to_reject(row, cuts):
    """The first cut that a row fails, in the order in which the program lists its reasons; None = it stays."""
    if row["TARGETID"] < 0:
        return "NEGATIVE_TARGETID"
    if cuts["objtype"] and row["OBJTYPE"] not in cuts["objtype"]:
        return "OBJTYPE"
    if cuts["good_fiberstatus"] and int(row["COADD_FIBERSTATUS"]) & ~cuts["fiberstatus_allowed"]:
        return "FIBERSTATUS"
    if cuts["good_zwarn"] and row["ZWARN"] != 0:
        return "ZWARN"
    if cuts["spectype"] and row["SPECTYPE"] not in cuts["spectype"]:
        return "SPECTYPE"
    if (cuts["z_min"] or cuts["z_max"]) and not cuts["z_min"] <= row["Z"] <= cuts["z_max"]:
        return "REDSHIFT"
    if cuts["min_deltachi2"] and not row["DELTACHI2"] >= cuts["min_deltachi2"]:
        return "DELTACHI2"
    if cuts["primary_only"] and row["ZCAT_PRIMARY"] is not None and not row["ZCAT_PRIMARY"]:
        return "NOT_PRIMARY"
    if (cuts["survey"] and row["SURVEY"] not in cuts["survey"]) or (
        cuts["program"] and row["PROGRAM"] not in cuts["program"]
    ):
        return "PROGRAM"
    return None


def key_of(row):
    return int(row["TARGETID"]), row["SURVEY"], row["PROGRAM"]


def quality(row):
    """The best of several rows of one key, or of one target, comes first."""
    primary = 1 if row["ZCAT_PRIMARY"] is None else 0 if row["ZCAT_PRIMARY"] else 2
    return primary, row["ZWARN"] != 0, -row["DEPTH"], -row["DELTACHI2"], row["FILE"], row["ROW"]


def choose_primary(rows):
    """Where the files do not say, the best row of each target is its primary one."""
    best = {}
    for row in rows:
        other = best.setdefault(row["TARGETID"], row)
        if quality(row) < quality(other):
            best[row["TARGETID"]] = row
    for row in rows:
        if row["ZCAT_PRIMARY"] is None:
            row["ZCAT_PRIMARY"] = row is best[row["TARGETID"]]


def select(config):
    """Rows of the catalogue in their order, and (file, row, reason) of all others."""
    kept, rejected = [], []
    for row in source_rows(config):
        reason = reason_to_reject(row, config["catalog"])
        if reason:
            rejected.append((row["FILE"], row["ROW"], int(row["TARGETID"]), reason))
        else:
            kept.append(row)
    kept.sort(key=lambda r: (key_of(r), quality(r)))
    unique = []
    for row in kept:
        if unique and key_of(unique[-1]) == key_of(row):
            rejected.append((row["FILE"], row["ROW"], int(row["TARGETID"]), "DUPLICATE"))
        else:
            unique.append(row)
    choose_primary(unique)
    unique.sort(key=lambda r: (r["HEALPIX"], key_of(r)))
    return unique, sorted(rejected)


def separation(ra1, dec1, ra2, dec2):
    """Arcsec between positions in degrees (haversine)."""
    ra1, dec1, ra2, dec2 = map(np.radians, (ra1, dec1, ra2, dec2))
    a = np.sin((dec2 - dec1) / 2) ** 2 + np.cos(dec1) * np.cos(dec2) * np.sin((ra2 - ra1) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(a))) * 3600


def tractor(config, brickname, region="south", cache={}):
    images = config["release"]["images"]
    path = os.path.join(
        images["root"], images["release"], region, "tractor", brickname[:3], f"tractor-{brickname}.fits"
    )
    if path not in cache:
        cache[path] = None
        if os.path.exists(path):
            with fits.open(path) as f:
                t = f[1].data
                good = (np.char.strip(t["type"]) != "DUP") & t["brick_primary"]
                cache[path] = {c: t[c][good] for c in t.names}
    return cache[path]


def join_photometry(row, config):
    """Identifiers, fluxes and reddening from the Tractor catalogue: by identifier, else by position."""
    region = "north" if row["PHOTSYS"] == "N" else "south"
    name = row["BRICKNAME"] or brick_at(row["RA"], row["DEC"]).name
    table = tractor(config, name, region)
    row["MATCH"], row["BRICKNAME"] = 0, name
    if table is None or len(table["ra"]) == 0:
        return
    hit = np.flatnonzero(
        (table["release"] == row["RELEASE"])
        & (table["brickid"] == row["BRICKID"])
        & (table["objid"] == row["BRICK_OBJID"])
    )
    if len(hit):
        at, row["MATCH"] = hit[0], 1
    else:
        distance = separation(row["RA"], row["DEC"], table["ra"], table["dec"])
        at = int(np.argmin(distance))
        if not distance[at] <= config["catalog"]["position_match_arcsec"]:
            return
        row["MATCH"] = 2
    row.update(
        RELEASE=table["release"][at],
        BRICKID=table["brickid"][at],
        BRICK_OBJID=table["objid"][at],
        EBV=table["ebv"][at],
        FLUX_G=table["flux_g"][at],
        FLUX_R=table["flux_r"][at],
        FLUX_Z=table["flux_z"][at],
        PHOTSYS="N" if table["release"][at] == 9011 else "S",
    )


def label_table(config):
    """TARGETID -> physical properties; what is not positive and finite is no label."""
    path = config["release"]["labels"]
    if not path:
        return {}
    with h5py.File(path, "r") as f:
        table = next(f[k][()] for k in f if f[k].dtype.names and "TARGETID" in f[k].dtype.names)
    found = {}

    def positive(row, name):
        value = float(row[name]) if name in table.dtype.names else np.nan
        return value if np.isfinite(value) and value > 0 else np.nan

    for row in table:
        mass, age, metals, sfr = (positive(row, c) for c in ("PROVABGS_LOGMSTAR_BF", "TAGE_MW", "Z_MW", "AVG_SFR"))
        labels = {
            "z": positive(row, "Z_HP"),
            "logmstar": mass,
            "age": age,
            "logz": np.log10(metals),
            "logssfr": np.log10(sfr) - mass,
            "ssfr_released": np.log(sfr) - np.log(metals),
        }
        if row["TARGETID"] >= 0:
            found.setdefault(int(row["TARGETID"]), labels)
    return found


def check_catalogue(report, rows):
    """catalog.h5 against the survey's files; `rows` is what the program wrote."""
    config = rows.config
    mine, rejected = select(config)
    report.check(
        len(mine) > 20 and len(rejected) > 5,
        "the sky has enough rows to tell",
        f"{len(mine)} rows, {len(rejected)} rejected",
    )
    total = sum(n for _, n, _ in source_tables(config))
    report.check(total == rows.n + len(rows.rejected["TARGETID"]), "source rows = rows + rejected rows")

    reasons = texts_of(rows.rejected["REASONS"])
    theirs = sorted(
        (str(rows["files"][f]), int(r), int(t), str(reasons[w]))
        for f, r, t, w in zip(*(rows.rejected[k] for k in ("FILE", "ROW", "TARGETID", "REASON")))
    )
    report.check(rejected == theirs, "rejected rows and their reasons", f"{set(rejected) ^ set(theirs)}")
    counts = {str(k): int(c) for k, c in zip(reasons, rows.rejected["COUNTS"]) if c}
    report.check(
        counts == {k: sum(r[3] == k for r in rejected) for k in {r[3] for r in rejected}}, "counts of reasons", counts
    )

    keys = [key_of(r) for r in mine]
    report.check(len(set(rows.names)) == rows.n, "keys are unique")
    if not report.check([f"{t}/{s}/{p}" for t, s, p in keys] == rows.names, "the same rows in the same order"):
        return
    report.same([r["FILE"] for r in mine], rows["files"][rows["FILE"]], "FILE", rows.names)
    for row in mine:
        join_photometry(row, config)
    for field in FIELDS + ["ROW", "MATCH"]:
        dtype = rows[field].dtype
        report.same(np.array([r[field] for r in mine]).astype(dtype), rows[field], field, rows.names)
    report.check(
        (rows["HAS_SPECTRUM"] == 1).all() and (rows["HAS_IMAGE"] == 1).all(), "every DESI row asks for both modalities"
    )

    labels = label_table(config)
    for name, theirs in rows.label.items():
        mine_label = np.array([labels.get(int(t), {}).get(name, np.nan) for t in rows["TARGETID"]])
        if name == "z":
            own = np.where(rows["ZWARN"] == 0, rows["Z"], np.nan)
            mine_label = np.where(np.isnan(mine_label), own, mine_label)
        report.close(mine_label, theirs, 1e-14, f"label {name}")  # the same double formula: rounding of log10 only
    report.check(np.isfinite(rows.label["logssfr"]).sum() > 10, "there are labels to compare")
    check_split(report, rows)
    check_manifest(report, rows)
    found = np.bincount(rows["MATCH"], minlength=3)
    report.say(f"{rows.n} rows; rejected {counts}; photometry by nothing, identifier, position: {found}")


def check_manifest(report, rows):
    """Every file that embedding reads is listed with its size, absent ones with -1."""
    spectra, images, labels = (rows.config["release"][k] for k in ("spectra", "images", "labels"))
    roots = {"spectra": spectra["root"], "redshifts": spectra["root"], "labels": os.path.dirname(labels)}
    listed = {}
    for path, role, size in zip(*(rows.manifest[k] for k in ("PATH", "ROLE", "SIZE"))):
        full = os.path.join(roots.get(role, images["root"]), path)
        mine = os.path.getsize(full) if os.path.exists(full) else -1
        report.check(size == mine, f"size of {path} in the manifest", f"{mine} here, {size} there")
        listed[path] = size
    wanted = set()
    for survey, program, pixel, ra, dec in zip(*(rows[k] for k in ("SURVEY", "PROGRAM", "HEALPIX", "RA", "DEC"))):
        folder = f"spectro/redux/{spectra['specprod']}/healpix/{survey}/{program}/{pixel // 100}/{pixel}"
        wanted.add(f"{folder}/coadd-{survey}-{program}-{pixel}.fits")
        brick = brick_at(ra, dec).name
        for kind in ("image-g", "image-r", "image-z", "invvar-g", "invvar-r", "invvar-z"):
            name = f"legacysurvey-{brick}-{kind}.fits.fz"
            wanted.add(f"{images['release']}/south/coadd/{brick[:3]}/{brick}/{name}")
    report.check(wanted <= set(listed), "the manifest lists every file that a row needs", wanted - set(listed))


def check_split(report, rows):
    cuts, split = rows.config["catalog"], rows["SPLIT"]
    by_target = {}
    for target, s in zip(rows["TARGETID"], split):
        by_target.setdefault(int(target), set()).add(int(s))
    report.check(all(len(s) == 1 for s in by_target.values()), "all rows of a target are in one split")
    n = len(by_target)
    chosen = np.array([min(s) for s in by_target.values()])
    for value, p in ((1, cuts["val_fraction"]), (2, cuts["test_fraction"])):
        off = abs((chosen == value).sum() - n * p) / max(np.sqrt(n * p * (1 - p)), 1e-9)
        report.check(off < 4, f"split {value} holds its share of {n} targets", f"{off:.1f} sigma off")
