#!/usr/bin/env python3
"""table.py [FILE]: JSON lines of run.sh, from FILE or standard input, as a table in Markdown. The last line of a name counts."""
import json
import sys

# name -> least ratio wanted (theirs over ours); None = no goal of its own
GOALS = {"cutouts_vs_astropy": 2, "coadd_merge_vs_numpy": 2, "knn_vs_faiss": 2, "ridge_vs_sklearn": 2, "gemm_bf16_vs_peak": 0.65, "start_vs_read": 0.5,
         "vit_l_bf16_vs_gemm": 0.8, "specformer_bf16_vs_gemm": 0.8, "vit_l_f32_vs_gemm": 0.9, "specformer_f32_vs_gemm": 0.9, "vit_l_bf16_vs_torch": 1.5,
         "specformer_bf16_vs_torch": 1.5, "vit_l_f32_vs_torch": 1.2, "specformer_f32_vs_torch": 1.2, "embed_end_to_end_vs_compute": 0.95, "embed_2_ranks_vs_1": 1.9}

lines = {}
for text in open(sys.argv[1]) if len(sys.argv) > 1 else sys.stdin:
    if text.startswith("{"):
        line = json.loads(text)
        lines[line["name"]] = line
number = lambda x: "-" if x is None else f"{x:.4g}"  # noqa: E731
print("| measurement | ours | theirs | unit | ratio | goal | threads | repeats | command |\n|---|---|---|---|---|---|---|---|---|")
for name, x in lines.items():
    goal = f"at least {GOALS[name]}" if name in GOALS else ""
    print(f"| {name} | {number(x['ours'])} | {number(x['theirs'])} | {x['unit']} | {number(x['ratio'])} | {goal} | {x['threads']} | {x['repeats']} "
          f"| `tests/bench/run.sh {name}` |")
