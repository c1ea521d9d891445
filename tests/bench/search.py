#!/usr/bin/env python3
"""search.py N QUERIES K DIM PROGRAM: QUERIES of N vectors among all of them, by bench_search and by FAISS's flat index (inner products of vectors divided
by their lengths, float), one thread each, in turn three times; a JSON line with medians, and how many of FAISS's neighbours are ours."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
import faiss  # noqa: E402
import numpy as np  # noqa: E402

n, queries, k, dim = map(int, sys.argv[1:5])
program = sys.argv[5]
faiss.omp_set_num_threads(1)
rng = np.random.default_rng(1)
# groups of vectors that look much the same way, as embeddings do
centre = rng.standard_normal((256, dim)).astype(np.float32) + 1
x = centre[rng.integers(256, size=n)] + rng.standard_normal((n, dim)).astype(np.float32)


def theirs():
    start = time.perf_counter()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(dim)
    index.add(unit)
    _, found = index.search(unit[:queries], k)
    return time.perf_counter() - start, found


def ours(folder):
    out = os.path.join(folder, "found")
    line = subprocess.run([program, *map(str, (n, queries, k, dim)), os.path.join(folder, "x"), out], check=True, capture_output=True, text=True).stdout
    return float(line), np.fromfile(out, dtype=np.int64).reshape(queries, k)


with tempfile.TemporaryDirectory() as folder:
    x.tofile(os.path.join(folder, "x"))
    runs = [(ours(folder), theirs()) for _ in range(3)]
a, b = statistics.median(r[0][0] for r in runs), statistics.median(r[1][0] for r in runs)
mine, other = runs[0][0][1], runs[0][1][1]
same = sum(len(np.intersect1d(p, q)) for p, q in zip(mine, other)) / mine.size
print(json.dumps({"name": "search_vs_faiss", "n": n, "queries": queries, "k": k, "dim": dim, "ours": round(a, 3), "theirs": round(b, 3), "unit": "s",
                  "ratio": round(b / a, 2), "gflops": round(2e-9 * n * queries * dim / a, 1), "same_neighbours": same,
                  "same_order": float((mine == other).mean()), "threads": 1, "repeats": 3}))
