#!/usr/bin/env python3
"""The stage embed over a mock sky with the published sizes, for run.sh: four JSON lines, medians of $ROUNDS (5) runs on one rank and on two in turn.

release.py ASTROCLIP OBJECTS MPIRUN...

embed_end_to_end_vs_compute: rows per second of the stage, from .fits.fz and coadds to embeddings.h5, against those of its encoders alone (the
stage's own clocks, of the same run). embed_2_ranks_vs_1: rows per second on two ranks over one, run after run, whose reading goes on a core that a
second rank has to itself; more than two cores are wanted for others' noise. read_per_row: seconds of the reading thread for a row, beside those of its
encoders. pss_extra_rank_mb: memory that a second rank on the node adds (sum of PSS, the largest seen; goal below 300), bytes that both share counted once.
$SET: further arguments of the stage (--set embed.precision=bf16).
"""
import json
import os
import re
import shlex
import statistics
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
    rounds, further = int(os.environ.get("ROUNDS", "5")), shlex.split(os.environ.get("SET", ""))
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
        runs = {1: [], 2: []}
        for _ in range(rounds):
            for ranks in runs:
                runs[ranks].append(Stage([*mpirun, "-n", str(ranks), program, "embed", config, "--force", *further], folder))
        median = lambda of, ranks=1: statistics.median(of(run) for run in runs[ranks])
        encoding = lambda run: run.clock["encode spectra"] + run.clock["encode images"]
        rows, speed = runs[1][0].rows, lambda run: run.rows / run.inside
        middle = sorted(runs[1], key=lambda run: run.inside)[rounds // 2]
        line("embed_end_to_end_vs_compute", median(speed), median(lambda run: run.rows / encoding(run)), "rows/s", median(lambda run: encoding(run) / run.inside),
             threads=1, repeats=rounds, rows=rows, clocks=middle.clock)
        pairs = [one.inside / two.inside for one, two in zip(runs[1], runs[2])]
        line("embed_2_ranks_vs_1", median(speed, 2), median(speed), "rows/s", statistics.median(pairs), threads=2, repeats=rounds, rows=rows, least=round(min(pairs), 3), most=round(max(pairs), 3))
        reading = lambda run: (run.clock["read spectra"] + run.clock["read images"]) / run.rows
        line("read_per_row", median(reading), median(lambda run: encoding(run) / run.rows), "s", median(lambda run: reading(run) * run.rows / encoding(run)), threads=1, repeats=rounds, rows=rows)
        both, alone = (median(lambda run: run.pss, ranks) for ranks in (2, 1))
        line("pss_extra_rank_mb", both - alone, alone, "MB", alone / (both - alone), threads=2, repeats=rounds)


if __name__ == "__main__":
    main()
