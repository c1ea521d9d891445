#!/usr/bin/env python3
"""Cutting of windows and merging of spectra beside astropy and numpy, for run.sh: one JSON line.

read.py cutouts|coadd PROGRAM ROUNDS COMMAND

PROGRAM: astroclip, which makes a mock sky of full size; COMMAND: bench_read. One thread on both sides, files in the system's cache,
both in turn, medians. What they read is compared first.

cutouts: windows of 152 pixels in three bands around 100 positions in each of two bricks (3600 x 3600, RICE), the density of DESI's
targets. Theirs is Cutout2D of memory-mapped CompImageHDU, the faster of the whole band and of a .section per window. Ours reads inverse
variances, too, to judge the windows; `images_alone` is theirs without them.
coadd: all spectra of the largest file: reading, masks, the inverse-variance-weighted mean of three arms on 7781 pixels. Ours also finds
rows by TARGETID and takes medians of signal to noise per arm. `merge_*`: the same from arms in memory.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
import numpy as np  # noqa: E402
from astropy.io import fits  # noqa: E402
from astropy.nddata import Cutout2D  # noqa: E402
from astropy.wcs import WCS  # noqa: E402

SIDE, PER_BRICK, BRICKS = 152, 100, 2
STARTS, PIXELS = {"B": 0, "R": 2700, "Z": 4900}, 7781


def timed(work):
    since = time.perf_counter()
    out = work()
    return time.perf_counter() - since, out


def make_sky(program, folder, objects, images="legacy, release: dr9, root: {}/sky/legacy"):
    config = os.path.join(folder, "run.yaml")
    with open(config, "w") as f:
        f.write(f"run: {{output: {folder}/run}}\nmock: {{objects: {objects}, per_brick: {PER_BRICK}, votes: ''}}\n"
                f"release:\n  spectra: {{kind: desi, specprod: mock, root: {folder}/sky/desi}}\n"
                f"  images: {{kind: {images.format(folder)}}}\n")
    subprocess.run([program, "mock", config], check=True, capture_output=True)


def files_below(folder, ending):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(ending))


class Ours:
    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.n = int(self.process.stdout.readline())

    def ask(self, question):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


class Cutouts:
    name, against = "cutouts_vs_astropy", "astropy"

    def __init__(self, program, command, folder):
        make_sky(program, folder, PER_BRICK * BRICKS)
        images = files_below(f"{folder}/sky/legacy", "-image-g.fits.fz")
        whole = [path for path in images if all(os.path.exists(self.band(path, b, k)) for b in "rz" for k in ("image", "invvar"))]
        self.bricks = whole[:BRICKS]
        rng = np.random.default_rng(1)
        self.positions = []
        for path in self.bricks: # well inside: neighbours are not asked for
            with fits.open(path) as f:
                self.positions.append(WCS(f[1].header).all_pix2world(rng.uniform(300, 3300, (PER_BRICK, 2)), 0))
        np.savetxt(f"{folder}/positions", np.concatenate(self.positions), fmt="%.12f")
        self.ours = Ours(command, "cutouts", f"{folder}/sky/legacy", f"{folder}/positions", folder)
        pixels = np.fromfile(f"{folder}/pixels.f32", "f4").reshape(-1, 3, SIDE, SIDE)
        ways = {"whole bands": lambda: self.cut(False, True), ".section": lambda: self.cut(True, True)}
        tried = {way: [] for way in ways}
        for way in list(ways) * 3: # in turn: a machine that others use, too, has slow moments
            seconds, found = timed(ways[way])
            tried[way].append(seconds)
            assert len(found) == len(pixels) and (found == pixels).all(), f"{way}: other pixels"
        best = min(ways, key=lambda way: min(tried[way]))
        self.against = f"astropy, {best}"
        self.theirs = ways[best]
        self.more = {"windows": len(pixels), "images_alone": round(timed(lambda: self.cut(best == ".section", False))[0], 4)}

    @staticmethod
    def band(path, band, kind):
        return path.replace("-image-g.", f"-{kind}-{band}.")

    def cut(self, by_section, with_invvar):
        out = np.empty((PER_BRICK * len(self.bricks), 3, SIDE, SIDE), "f4")
        weight = np.empty_like(out)
        for b, (path, sky) in enumerate(zip(self.bricks, self.positions)):
            rows = slice(b * PER_BRICK, (b + 1) * PER_BRICK)
            for k, band in enumerate("grz"):
                for kind, to in (("image", out), ("invvar", weight))[:1 + with_invvar]:
                    with fits.open(self.band(path, band, kind), memmap=True) as f:
                        places = WCS(f[1].header).all_world2pix(sky, 0)
                        data = f[1].section if by_section else f[1].data
                        for window, (x, y) in zip(to[rows], places):
                            window[k] = Cutout2D(data, (x, y), SIDE).data
        return out

    def measure(self):
        return {"": self.ours.ask("cut")}, {"": timed(self.theirs)[0]}


class Coadd:
    name, against = "coadd_merge_vs_numpy", "astropy and numpy"

    def __init__(self, program, command, folder):
        make_sky(program, folder, 1000, "none")
        self.path = max(files_below(f"{folder}/sky/desi", ".fits"), key=lambda path: os.path.getsize(path) * ("/coadd-" in path))
        self.ours = Ours(command, "coadd", self.path, folder)
        with fits.open(self.path) as f:
            row = {t: i for i, t in reversed(list(enumerate(f["FIBERMAP"].data["TARGETID"])))}
        order = [row[t] for t in np.fromfile(f"{folder}/targets.i64", "i8")]
        flux, ivar = self.merge(self.arms())
        for mine, name in ((flux, "flux"), (ivar, "ivar")):
            found = np.fromfile(f"{folder}/{name}.f32", "f4").reshape(-1, PIXELS)
            assert np.allclose(found, mine[order], rtol=3e-7, atol=0), f"{name} differs" # one rounding to float32
        self.held = self.arms()
        self.more = {"spectra": self.ours.n}

    def arms(self):
        with fits.open(self.path, memmap=False) as f: # scaled images cannot be mapped
            return {arm: [np.asarray(f[f"{arm}_{part}"].data) for part in ("FLUX", "IVAR", "MASK")] for arm in STARTS}

    @staticmethod
    def merge(arms):
        n = len(arms["B"][0])
        total, flux = np.zeros((n, PIXELS)), np.zeros((n, PIXELS))
        for arm, (f, ivar, mask) in arms.items():
            weight = np.where((mask == 0) & np.isfinite(f) & np.isfinite(ivar) & (ivar > 0), ivar, 0).astype(float)
            at = slice(STARTS[arm], STARTS[arm] + f.shape[1])
            total[:, at] += weight
            flux[:, at] += weight * np.where(weight > 0, f, 0)
        np.divide(flux, total, out=flux, where=total > 0)
        return flux.astype("f4"), total.astype("f4")

    def measure(self):
        ours = {"": self.ours.ask("read"), "merge_": self.ours.ask("merge")}
        return ours, {"": timed(lambda: self.merge(self.arms()))[0], "merge_": timed(lambda: self.merge(self.held))[0]}


def main():
    what, program, rounds, command = {"cutouts": Cutouts, "coadd": Coadd}[sys.argv[1]], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    with tempfile.TemporaryDirectory() as folder:
        bench = what(program, command, folder)
        pairs = [bench.measure() for _ in range(rounds)]
    line = {"name": bench.name}
    for prefix in pairs[0][0]:
        ours, theirs = ([pair[side][prefix] for pair in pairs] for side in (0, 1))
        line[f"{prefix}ours"], line[f"{prefix}theirs"] = round(statistics.median(ours), 4), round(statistics.median(theirs), 4)
        line[f"{prefix}ratio"] = round(statistics.median(t / o for o, t in zip(ours, theirs)), 2)
    print(json.dumps({**line, "unit": "s", "threads": 1, "repeats": rounds, "against": bench.against, **bench.more}), flush=True)


if __name__ == "__main__":
    main()
