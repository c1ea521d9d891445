#!/usr/bin/env python3
"""probe.py KIND TRAIN TEST DIM ROUNDS COMMAND...: the same fit by scikit-learn (KIND knn_faiss: neighbours by FAISS, flat index, in float) with one thread, in the same run as COMMAND (bench_probe on one
rank), on its data, one after the other, a JSON line with the medians. scikit-learn predicts the test rows, ours train and test rows: times of
predicting are per row."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
import numpy as np  # noqa: E402
from sklearn.linear_model import Ridge, RidgeCV  # noqa: E402
from sklearn.model_selection import GridSearchCV, KFold  # noqa: E402
from sklearn.neighbors import KNeighborsRegressor  # noqa: E402
from sklearn.neural_network import MLPRegressor  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

kind, train, test, dim, rounds = sys.argv[1], *map(int, sys.argv[2:6])
penalties = np.logspace(-3, 5, 9)
models = {
    "ridge": lambda: GridSearchCV(Ridge(solver="cholesky"), {"alpha": penalties}, cv=KFold(5)),
    "leave_one_out": lambda: RidgeCV(alphas=penalties),
    "knn": lambda: KNeighborsRegressor(64, weights="distance", algorithm="brute"),
    "mlp": lambda: MLPRegressor(hidden_layer_sizes=(64, 64), batch_size=64, learning_rate_init=1e-3, max_iter=10, n_iter_no_change=99),
}


class Faiss:
    """The interface of KNeighborsRegressor over faiss.IndexFlatL2."""

    def fit(self, x, y):
        import faiss

        faiss.omp_set_num_threads(1)
        self.index, self.y = faiss.IndexFlatL2(x.shape[1]), y
        self.index.add(x.astype(np.float32))
        return self

    def predict(self, x):
        square, at = self.index.search(x.astype(np.float32), 64)
        weight = 1 / np.sqrt(square)
        return (weight * self.y[at]).sum(1) / weight.sum(1)


models["knn_faiss"] = Faiss
def theirs():
    start = time.perf_counter()
    scaler = StandardScaler().fit(x[:train].astype(float))
    model = models[kind]().fit(scaler.transform(x[:train].astype(float)), y[:train])
    fitted = time.perf_counter() - start
    values = model.predict(scaler.transform(x[train:].astype(float)))
    return fitted, (time.perf_counter() - start - fitted) / test, values


def ours():
    line = json.loads(subprocess.run([*sys.argv[6:], kind.split("_faiss")[0], *sys.argv[2:5], folder], check=True, capture_output=True, text=True).stdout)
    return line["fit_s"], line["predict_s"] / line["predicted"]


import warnings  # noqa: E402

warnings.simplefilter("ignore")
with tempfile.TemporaryDirectory() as folder:
    ours()
    x = np.fromfile(f"{folder}/x.f32", "f4").reshape(-1, dim)
    predicted = np.fromfile(f"{folder}/predicted.f64")[train:]
    y = x[:, 0] - x[:, 1] * x[:, 2] + 0.3 * x[:, 3]
    pairs = [(ours(), theirs()) for _ in range(rounds)]
total = [[fit + test * row for fit, row, *_ in side] for side in zip(*pairs)]
median = statistics.median
more = {}
if kind == "knn_faiss":  # a neighbour that float takes for another one, of two at almost the same distance, shows in 1 / k of a prediction
    more["same_neighbours"] = round(float(np.mean(np.abs(predicted - pairs[0][1][2]) < 1e-4)), 4)
    assert more["same_neighbours"] > 0.99, f"only {more['same_neighbours']} of the rows have the same neighbours"
print(json.dumps({"name": {"knn_faiss": "knn_vs_faiss", "ridge": "ridge_vs_sklearn"}.get(kind, f"probe {kind} vs scikit-learn"), "train": train, "test": test, "dim": dim,
                  "ours": round(median(total[0]), 3), "theirs": round(median(total[1]), 3), "unit": "s",
                  "ratio": round(median(b / a for a, b in zip(*total)), 2), "fit_ours": round(median(p[0][0] for p in pairs), 3),
                  "fit_theirs": round(median(p[1][0] for p in pairs), 3), "threads": 1, "repeats": rounds, **more}))
