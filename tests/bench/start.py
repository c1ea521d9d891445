#!/usr/bin/env python3
"""Start of the stage embed with weights of the published sizes beside reading their file once, for run.sh: one JSON line.

start.py ASTROCLIP ROUNDS COMMAND

COMMAND: bench_start. Ours: the whole run of the stage over a sky of one galaxy, one rank, less the clock of encoding it: start-up, weights read, verified and brought into
the order of products, the volume written. Theirs: reading the file from end to end, 8 MB at a time. Both with the file in the system's cache (`warm`) and, in `cold`, after it
was dropped from there. ratio: theirs over ours; 0.5 or more is the goal.
"""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time


def read(path):
    since = time.perf_counter()
    room = bytearray(8 << 20)
    with open(path, "rb", buffering=0) as f:
        while f.readinto(room):
            pass
    return time.perf_counter() - since


def drop(path):
    with open(path, "rb") as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def stage(command):
    since = time.perf_counter()
    out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seconds = time.perf_counter() - since
    if out.returncode:
        sys.exit(out.stdout)
    clock = {m[1].strip(): float(m[2]) for m in re.finditer(r"\]   ([a-z ]+?) +[\d.]+ +[\d.]+ +([\d.]+) s ", out.stdout)}
    return seconds - clock.get("encode images", 0) - clock.get("encode spectra", 0), clock


def main():
    program, rounds, command = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with tempfile.TemporaryDirectory() as folder:
        config, weights = f"{folder}/run.yaml", f"{folder}/astroclip.ckpt.h5"
        with open(config, "w") as f:
            f.write(f"run: {{output: {folder}/run, max_rejected_fraction: 1}}\n"
                    f"release:\n  spectra: {{kind: desi, specprod: mock, root: {folder}/sky/desi}}\n  images: {{kind: legacy, release: dr9, root: {folder}/sky/legacy}}\n"
                    f"mock: {{objects: 1, per_brick: 1}}\nembed: {{weights: {weights}, precision: bf16}}\n")
        subprocess.run([command, weights], check=True)
        for name in ("mock", "catalog"):
            stage([program, name, config])
        seconds = {}
        for state in ("warm", "cold"):
            pairs = []
            for _ in range(rounds):
                if state == "cold":
                    drop(weights)
                theirs = read(weights)
                if state == "cold":
                    drop(weights)
                ours, clock = stage([program, "embed", config, "--force"])
                pairs.append((ours, theirs))
            seconds[state] = [statistics.median(p[k] for p in pairs) for k in (0, 1)] + [statistics.median(p[1] / p[0] for p in pairs)]
        line = {"name": "start_vs_read", "ours": round(seconds["warm"][0], 3), "theirs": round(seconds["warm"][1], 3), "unit": "s", "ratio": round(seconds["warm"][2], 3),
                "threads": 1, "repeats": rounds, "bytes": os.path.getsize(weights), "cold": [round(x, 3) for x in seconds["cold"]], "clocks": clock}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
