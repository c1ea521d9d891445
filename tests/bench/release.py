#!/usr/bin/env python3
"""The stage embed over a mock sky with the published sizes, for run.sh: three JSON lines.

release.py ASTROCLIP OBJECTS MPIRUN...

embed_end_to_end_vs_compute: rows per second of the stage, from .fits.fz and coadds to embeddings.h5, against those of its encoders alone (the
stage's own clocks). embed_2_ranks_vs_1: rows per second on two ranks over one; more than two cores are wanted for others' noise.
pss_extra_rank_mb: memory that a second rank on the node adds (sum of PSS, the largest seen; goal below 300), bytes that both share counted once.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time


def pss(folder):
    """Megabytes of all ranks that write to the folder."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/comm").read().strip() == "astroclip" and folder in open(f"/proc/{pid}/cmdline").read():
                total += int(re.search(r"^Pss: *(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M)[1])
        except (OSError, TypeError):
            pass
    return total / 1e3


class Stage:
    """A run of a stage: seconds, its clocks (largest over ranks), the largest sum of PSS."""

    def __init__(self, command, folder):
        self.pss, since, done = 0, time.perf_counter(), threading.Event()

        def watch():
            while not done.wait(0.2):
                self.pss = max(self.pss, pss(folder))

        watcher = threading.Thread(target=watch)
        watcher.start()
        out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.seconds = time.perf_counter() - since
        done.set()
        watcher.join()
        if out.returncode:
            sys.exit(out.stdout)
        self.clock = {m[1].strip(): float(m[2]) for m in re.finditer(r"\]   ([a-z ]+?) +[\d.]+ +[\d.]+ +([\d.]+) s ", out.stdout)}
        rows = re.search(r"embed: (\d+) rows in ([\d.]+) s", out.stdout)
        self.rows, self.inside = (int(rows[1]), float(rows[2])) if rows else (0, 0)


def line(name, ours, theirs, unit, ratio, **more):
    print(json.dumps({"name": name, "ours": round(ours, 4), "theirs": round(theirs, 4), "unit": unit, "ratio": round(ratio, 3), **more}), flush=True)


def main():
    program, objects, mpirun = sys.argv[1], sys.argv[2], sys.argv[3:]
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "run.yaml")
        with open(config, "w") as f:
            f.write(f"run: {{output: {folder}/run, stages: [catalog, embed], max_rejected_fraction: 1}}\n"
                    f"release:\n  spectra: {{kind: desi, specprod: mock, root: {folder}/sky/desi}}\n"
                    f"  images: {{kind: legacy, release: dr9, root: {folder}/sky/legacy}}\n"
                    f"mock: {{objects: {objects}, per_brick: {objects}}}\n"
                    "embed: {block_rows: 4, sets: [aligned]}\n")
        for stage in ("mock", "catalog"):
            Stage([program, stage, config], folder)
        one = Stage([*mpirun, "-n", "1", program, "embed", config], folder)
        compute = one.clock["encode spectra"] + one.clock["encode images"]
        line("embed_end_to_end_vs_compute", one.rows / one.inside, one.rows / compute, "rows/s", compute / one.inside, threads=1, repeats=1, rows=one.rows, clocks=one.clock)
        two = Stage([*mpirun, "-n", "2", program, "embed", config, "--force"], folder)
        line("embed_2_ranks_vs_1", two.rows / two.inside, one.rows / one.inside, "rows/s", one.inside / two.inside, threads=2, repeats=1, rows=one.rows)
        line("pss_extra_rank_mb", two.pss - one.pss, one.pss, "MB", one.pss / (two.pss - one.pss), threads=2, repeats=1)


if __name__ == "__main__":
    main()
