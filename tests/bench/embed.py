#!/usr/bin/env python3
"""Embedding at the published sizes beside PyTorch's and beside its own matrix products, for run.sh: two JSON lines; of gemm_bf16 one.

embed.py vit_l|specformer f32|bf16 ROUNDS COMMAND...
embed.py gemm_bf16 vit_l ROUNDS COMMAND...: the best product of its linear layers in bf16, panels to panels, beside the rate of the matrix units with
operands in the second cache, in GFLOP/s

COMMAND: bench_embed. One thread on both sides; PyTorch at its best of batch sizes, eager and compiled, in bf16 autocast and weights of
bf16: each is tried once, the fastest is timed in turn with ours. The embeddings are compared first: root mean square of the difference
over that of the embeddings, at most 1e-4 in f32 (sums of up to 4096 products in another order, 24 layers deep), 5e-2 in bf16 (8 bits of
mantissa, and PyTorch rounds between the layers, too). Seconds are per object, medians over the rounds.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "peers"))

COUNT = {"vit_l": 22, "specformer": 8}
BATCHES = {"vit_l": (4, 16, 22), "specformer": (1, 4, 8)}


class Ours:
    def __init__(self, command, what, precision, folder):
        self.process = subprocess.Popen([*command, what, precision, str(COUNT[what]), folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.how = self.process.stdout.readline().strip()

    def ask(self, question):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        answer = [float(x) for x in self.process.stdout.readline().split()]
        return answer if len(answer) > 1 else answer[0]


class Theirs:
    def __init__(self, what, precision, folder):
        import astroclip
        import torch

        torch.set_num_threads(1)
        self.torch, self.version = torch, torch.__version__
        model, self.inputs, self.wanted = astroclip.load(what, folder)
        ways = [("eager", model, torch.float32)]
        if precision == "bf16":
            import copy

            ways = [("autocast", model, torch.bfloat16), ("bf16 weights", copy.deepcopy(model).bfloat16(), None)]
        self.best = (float("inf"),)
        for name, module, kind in ways:
            for compiled in (False, True):
                forward = torch.compile(module) if compiled else module
                for batch in BATCHES[what]:
                    self.try_way(f"{name}{', compiled' if compiled else ''}, batch {batch}", forward, kind, batch, compiled)

    def run(self, forward, kind, batch):
        x = self.inputs[:batch] if kind else self.inputs[:batch].bfloat16()
        with self.torch.inference_mode(), self.torch.autocast("cpu", self.torch.bfloat16, enabled=kind == self.torch.bfloat16):
            since = time.perf_counter()
            out = forward(x)
            return (time.perf_counter() - since) / len(x), out

    def try_way(self, name, forward, kind, batch, compiled):
        try:
            if compiled:
                self.run(forward, kind, batch)
            seconds, out = self.run(forward, kind, batch)
        except Exception as error:  # no compiler where it runs
            print(f"embed.py: {name} does not work here ({type(error).__name__}): measured without", file=sys.stderr)
            return
        difference = out.float() - self.wanted[:batch]
        self.difference = float(difference.square().mean().sqrt() / self.wanted[:batch].square().mean().sqrt())
        if seconds < self.best[0]:
            self.best = (seconds, name, forward, kind, batch, self.difference)

    def seconds(self):
        return self.run(*self.best[2:5])[0]


def units(what, rounds, command):
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(command, what, "bf16", folder)
        pairs = [ours.ask("gemm") for _ in range(rounds)]
    out = {"name": "gemm_bf16_vs_peak", "ours": None, "theirs": None, "unit": "GFLOP/s", "ratio": None, "threads": 1, "repeats": rounds}
    if pairs[0][1] > 0:
        out.update(ours=statistics.median(p[0] for p in pairs), theirs=statistics.median(p[1] for p in pairs), ratio=round(statistics.median(p[0] / p[1] for p in pairs), 3))
    else:
        out["note"] = "not measured: this CPU lacks AMX"
    print(json.dumps({**out, "against": "matrix units, operands in the second cache", "provider": ours.how}), flush=True)


def main():
    if sys.argv[1] == "gemm_bf16":
        return units(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
    what, precision, rounds, command = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
    line = {"unit": "s", "threads": 1, "repeats": rounds}
    if precision == "bf16" and not any(" avx512_bf16" in text or " amx_bf16" in text for text in open("/proc/cpuinfo")):
        line["note"] = "this CPU has no instructions for bf16: both sides compute it with those for f32"
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(command, what, precision, folder)
        try:
            theirs = Theirs(what, precision, folder)
        except ImportError as error:
            theirs = None
            print(f"embed.py: theirs is not measured, PyTorch is missing here ({error}); $ASTROCLIP_TORCH: a python3 that has it", file=sys.stderr)
        if theirs:
            bound = 1e-4 if precision == "f32" else 5e-2
            assert theirs.best[5] < bound, f"the embeddings differ by {theirs.best[5]:.2e}"
        mine, products, other = [], [], []
        for _ in range(rounds):
            mine.append(ours.ask("embed"))
            products.append(ours.ask("products"))
            if theirs:
                other.append(theirs.seconds())
    mid = statistics.median
    out = {"name": f"{what}_{precision}_vs_gemm", "ours": round(mid(mine), 4), "theirs": round(mid(products), 4), **line}
    out["ratio"] = round(mid(p / m for p, m in zip(products, mine)), 3)
    print(json.dumps({**out, "against": "its matrix products alone", "provider": ours.how}), flush=True)
    out = {"name": f"{what}_{precision}_vs_torch", "ours": round(mid(mine), 4), "theirs": None, **line, "ratio": None}
    if theirs:
        out.update(theirs=round(mid(other), 4), ratio=round(mid(o / m for o, m in zip(other, mine)), 3), difference=theirs.best[5])
        out["against"] = f"PyTorch {theirs.version}, {theirs.best[1]}"
    print(json.dumps({**out, "provider": ours.how}), flush=True)


if __name__ == "__main__":
    main()
