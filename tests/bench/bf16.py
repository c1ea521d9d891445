#!/usr/bin/env python3
"""What embed.precision bf16 costs with trained weights, for run.sh: a JSON line per modality and one for the probes.

bf16.py ASTROCLIP RUN.yaml WEIGHTS FOLDER OBJECTS MPIRUN...: a mock sky of OBJECTS with the models of RUN.yaml, embedded with f32 and with bf16, probed by ridge.

rms: root mean square difference over the spread of a feature over objects, mean over features (0.02 allowed); top10: share of the ten nearest
by cosine that stay (0.95); r2: the largest change of R2 on the test split (0.002), of probes across modalities by itself.
"""
import csv
import json
import os
import subprocess
import sys

import h5py
import numpy as np


def run(*command):
    out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if out.returncode:
        sys.exit(out.stdout)


def top10(x):
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    scores = x @ x.T
    np.fill_diagonal(scores, -2)
    return np.argsort(-scores, axis=1)[:, :10]


def main():
    program, config, weights, folder, objects, mpirun = *sys.argv[1:6], sys.argv[6:]
    sky = os.path.join(folder, "sky")
    common = [config, "--set", f"release.spectra.root={sky}/desi", "--set", f"release.images.root={sky}/legacysurvey", "--set", f"mock.objects={objects}",
              "--set", f"release.labels={sky}/vac/provabgs-mock.hdf5", "--set", f"embed.weights={weights}", "--set", "probe.probes=[ridge]", "--set", "probe.baselines=false",
              "--set", "probe.morphology.votes="]
    embeddings, scores = {}, {}
    for precision in ("f32", "bf16"):
        options = [*common, "--set", f"run.output={folder}/{precision}", "--set", f"embed.precision={precision}"]
        for stage in ("mock", "catalog", "embed", "probe"):
            run(*mpirun, program, stage, *options)
        with h5py.File(f"{folder}/{precision}/embeddings.h5") as f:
            embeddings[precision] = {name: f[f"{name}_embeddings"][:] for name in ("image", "spectrum")}
        with open(f"{folder}/{precision}/scores.csv") as f:
            scores[precision] = {tuple(r[k] for k in ("encoder", "modality", "probe", "property")): r for r in csv.DictReader(f) if r["split"] == "test"}
    for name, exact in embeddings["f32"].items():
        rounded = embeddings["bf16"][name]
        there = np.isfinite(exact[:, 0])
        assert (there == np.isfinite(rounded[:, 0])).all()
        exact, rounded = exact[there].astype(float), rounded[there].astype(float)
        rms = np.mean(np.sqrt(np.mean((rounded - exact) ** 2, axis=0)) / exact.std(axis=0))
        kept = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(top10(exact), top10(rounded))])
        print(json.dumps({"name": f"bf16_safe {name}", "rms": round(float(rms), 5), "top10": round(float(kept), 4), "rows": int(there.sum())}), flush=True)
    changes = {k: abs(float(r["r2"]) - float(scores["bf16"][k]["r2"])) for k, r in scores["f32"].items() if r["r2"] not in ("", "nan")}
    for name, across in (("probes", False), ("probes across modalities", True)):  # a ridge does not cross them (R2 far below 0): its change is told apart
        some = {k: x for k, x in changes.items() if ("-to-" in k[1]) == across}
        worst = max(some, key=some.get)
        line = {"name": f"bf16_safe {name}", "r2": round(some[worst], 5), "of": " ".join(worst), "r2_f32": round(float(scores["f32"][worst]["r2"]), 4),
                    "test_rows": max(int(r["n"]) for r in scores["f32"].values()), "scores": len(some)}
        print(json.dumps(line))


if __name__ == "__main__":
    main()
