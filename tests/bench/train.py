#!/usr/bin/env python3
"""A training step of ours beside PyTorch's, for run.sh: rounds of both in turn, one JSON line.

train.py spectrum|heads|image f32|bf16 THREADS ROUNDS COMMAND... [-- OTHER...]

COMMAND: bench_train with its arguments, on THREADS ranks. OTHER: another such command to stand where PyTorch stands, one rank with the same replicas.

PyTorch at its best: fused attention (scaled_dot_product_attention), the fused AdamW, the whole batch at once, THREADS threads, compiled or
not, whichever takes less processor time in its first steps; bf16 by autocast. Time is that of the clock, medians over the rounds; cpu_ours and cpu_theirs are the
processor time of the same steps, which tells where other programs disturbed (of ranks: that of the busiest); mb_ours and mb_theirs the most memory of a process.
"""
import copy
import json
import os
import resource
import statistics
import subprocess
import sys
import time

SPECTRA, PAIRS, IMAGES = 8, 256, 2


def ours(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [tuple(map(float, line.split())) for line in done.stdout.splitlines()]


def build_specformer(torch):
    from torch import nn
    import torch.nn.functional as F

    class Block(nn.Module):
        def __init__(self, dim=768, heads=6):
            super().__init__()
            self.heads = heads
            self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
            self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

        def forward(self, x):
            q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    class SpecFormer(nn.Module):
        def __init__(self, dim=768, layers=6, longest=800, width=22):
            super().__init__()
            self.embed, self.position = nn.Linear(width, dim), nn.Parameter(0.02 * torch.randn(longest, dim))
            self.blocks = nn.ModuleList(Block(dim) for _ in range(layers))
            self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, width)

        def forward(self, x):
            x = self.embed(x) + self.position[: x.shape[1]]
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    model = SpecFormer()
    flux = 2 + torch.rand(SPECTRA, 7781)

    def loss(forward):
        tokens = flux.unfold(1, 20, 10)[:, :777]
        mean, std = flux.mean(1, keepdim=True), flux.std(1, keepdim=True)
        tokens = torch.cat([(tokens - mean[..., None]) / std[..., None], mean[..., None].expand(-1, 777, 1), std[..., None].expand(-1, 777, 1)], 2)
        tokens = torch.cat([torch.zeros(SPECTRA, 1, 22), tokens], 1)
        masked = tokens.clone()
        for chunk in range(6):
            for i, start in enumerate((chunk * 778 // 6 + torch.randint(0, 778 // 6 - 50, (SPECTRA,))).tolist()):
                masked[i, start : start + 50] = 0
        hidden = masked != tokens
        return (((forward(masked) - tokens) ** 2) * hidden).sum() / hidden.sum()

    return model, loss


def build_heads(torch):
    from torch import nn
    import torch.nn.functional as F

    class Head(nn.Module):
        def __init__(self, width, residual, dim=1024, heads=4):
            super().__init__()
            self.query, self.residual = nn.Parameter(torch.randn(1, 1, dim)), residual
            self.attention = nn.MultiheadAttention(dim, heads, batch_first=True, kdim=width, vdim=width)
            self.norm, self.up, self.down = nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

        def forward(self, x):
            y, _ = self.attention(self.query.expand(len(x), -1, -1), x, x, need_weights=False)
            y = self.norm(F.dropout(y[:, 0], 0.1, self.training))
            z = F.dropout(self.down(F.gelu(self.up(y))), 0.1, self.training)
            return y + z if self.residual else z

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.image, self.spectrum = Head(1024, False), Head(768, True)

        def forward(self, x, y):
            return self.image(x), self.spectrum(y)

    model = Heads()
    images, spectra = torch.rand(PAIRS, 144, 1024), torch.rand(PAIRS, 778, 768)

    def loss(forward):
        order = torch.randperm(PAIRS)
        a, b = (F.normalize(x.float(), dim=1, eps=1e-3) for x in forward(images[order], spectra[order]))
        scores, own = 15.5 * a @ b.T, torch.arange(PAIRS)
        return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2

    return model, loss


def build_image(torch):
    """Student and teacher of DINOv2 with iBOT and KoLeo on 2 whole and 8 local crops; the centres stay 0."""
    from torch import nn
    import torch.nn.functional as F

    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "peers"))
    from astroclip import Vit

    class Encoder(Vit):
        def __init__(self, dim=1024):
            super().__init__(dim)
            self.cls_token, self.mask_token = nn.Parameter(torch.zeros(1, 1, dim)), nn.Parameter(torch.zeros(1, dim))
            self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 145, dim))

        def position(self, patches):
            if patches == 144:
                return self.pos_embed
            side = int(patches**0.5)
            grid = self.pos_embed[:, 1:].unflatten(1, (12, 12)).permute(0, 3, 1, 2)
            grid = F.interpolate(grid, size=(side, side), mode="bicubic").flatten(2).transpose(1, 2)
            return torch.cat([self.pos_embed[:, :1], grid], 1)

        def forward(self, x, hidden=None):
            x = self.patch_embed(x)
            if hidden is not None:
                x = torch.where(hidden[..., None], self.mask_token.to(x.dtype), x)
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.position(x.shape[1])
            for block in self.blocks:
                x = block(x)
            return self.norm(x)

    class Head(nn.Module):
        def __init__(self, dim=1024, inner=2048, bottleneck=256, prototypes=65536):
            super().__init__()
            self.mlp = nn.Sequential(nn.Linear(dim, inner), nn.GELU(), nn.Linear(inner, inner), nn.GELU(), nn.Linear(inner, bottleneck))
            self.last_layer = nn.utils.parametrizations.weight_norm(nn.Linear(bottleneck, prototypes, bias=False))

        def forward(self, x):
            return self.last_layer(F.normalize(self.mlp(x), dim=-1))

    class Student(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.head = Encoder(), Head()

        def forward(self, whole, local, hidden):
            """Logits of class tokens of whole crops, of local ones, of hidden patches; class tokens of the whole."""
            tokens = self.encoder(whole, hidden)
            rows = [tokens[:, 0], tokens[:, 1:][hidden]]
            if local is not None:
                rows.append(self.encoder(local)[:, 0])
            return (*self.head(torch.cat(rows)).split([len(r) for r in rows]), tokens[:, 0])

    student = Student()
    teacher = copy.deepcopy(student).requires_grad_(False)

    def loss(forward):
        whole, local = torch.rand(2 * IMAGES, 3, 144, 144), torch.rand(8 * IMAGES, 3, 60, 60)
        hidden = torch.zeros(2 * IMAGES, 144, dtype=torch.bool)
        for i, share in enumerate((0.2, 0.4)):  # half of the crops, 10 to 50 % of the patches
            hidden[2 * i, torch.randperm(144)[: int(144 * share)]] = True
        with torch.no_grad():
            tokens = teacher.encoder(whole)
            own = torch.cat([tokens[IMAGES:, 0], tokens[:IMAGES, 0]])
            wanted = torch.softmax(teacher.head(torch.cat([own, tokens[:, 1:][hidden]])).float() / 0.04, -1)
        wanted, wanted_patches = wanted[: 2 * IMAGES], wanted[2 * IMAGES :]
        whole_logits, patch_logits, local_logits, classes = forward(whole, local, hidden)
        log = lambda logits: F.log_softmax(logits.float() / 0.1, -1)
        crops = torch.stack([log(local_logits).unflatten(0, (8, IMAGES)).sum(0), log(whole_logits).unflatten(0, (2, IMAGES)).sum(0)]).sum(0)
        dino = -(wanted.unflatten(0, (2, IMAGES)).sum(0) * crops).sum(-1).mean() / 18
        ibot = -(wanted_patches * log(patch_logits)).sum(-1).mean()
        x = F.normalize(classes.float(), dim=-1).unflatten(0, (2, IMAGES))
        near = torch.stack([(half[0] - half[1]).norm() for half in x])
        return dino + ibot - 0.1 * torch.log(near + 1e-8).sum()

    def after():
        with torch.no_grad():
            torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 0.008)

    return student, loss, after


class Theirs:
    def __init__(self, torch, what, precision):
        self.torch, self.precision = torch, precision
        self.model, self.loss, *after = {"spectrum": build_specformer, "heads": build_heads, "image": build_image}[what](torch)
        self.after = after[0] if after else lambda: None
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
        self.forward, self.how = self.model, "eager"
        plain = min(self.step()[1] for _ in range(2))
        self.forward = torch.compile(self.model)
        try:
            self.step()  # compiles
            faster = min(self.step()[1] for _ in range(2)) < plain
        except Exception as error:  # no compiler where it runs
            print(f"train.py: torch.compile does not work here ({type(error).__name__}): measured without", file=sys.stderr)
            faster = False
        self.forward, self.how = (self.forward, "compiled") if faster else (self.model, "eager")

    def step(self):
        """(seconds, processor seconds, most memory so far in bytes)"""
        since, busy = time.perf_counter(), time.process_time()
        self.optimizer.zero_grad(set_to_none=True)
        with self.torch.autocast("cpu", self.torch.bfloat16, enabled=self.precision == "bf16"):
            loss = self.loss(self.forward)
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.after()
        return time.perf_counter() - since, time.process_time() - busy, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def open_theirs(what, precision, threads):
    try:
        import torch
    except ImportError as error:
        print(f"train.py: theirs is not measured, PyTorch is missing here ({error}); $ASTROCLIP_TORCH: a python3 that has it", file=sys.stderr)
        return None, None
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    theirs = Theirs(torch, what, precision)

    def step():
        theirs.step()  # after ours, caches are cold
        return [theirs.step()]

    return step, f"PyTorch {torch.__version__}, {theirs.how}"


def main():
    what, precision, threads, rounds, command = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]
    line = {"name": f"train_step {what} {precision}", "ours": None, "theirs": None, "unit": "s", "ratio": None, "threads": threads, "repeats": rounds}
    if "--" in command:
        at = command.index("--")
        command, one = command[:at], command[at + 1 :]
        theirs, line["against"] = lambda: ours(one), "one rank"
        line["name"] += f", {threads} ranks"
    else:
        theirs, line["against"] = open_theirs(what, precision, threads)
    mine, other = [], []
    for _ in range(rounds):
        mine += ours(command)
        if theirs:
            other += theirs()
    if precision == "bf16" and not any(" avx512_bf16" in text or " amx_bf16" in text for text in open("/proc/cpuinfo")):
        line["note"] = "this CPU has no instructions for bf16: both sides compute it with those for f32"
    for k, name in enumerate(("{}", "cpu_{}")):
        line[name.format("ours")] = round(statistics.median(t[k] for t in mine), 4)
        if theirs:
            line[name.format("theirs")] = round(statistics.median(t[k] for t in other), 4)
    if mine:
        line["mb_ours"] = round(max(t[2] for t in mine) / 1e6)
    if theirs:
        line["mb_theirs"] = round(max(t[2] for t in other) / 1e6)
        line["ratio"] = round(line["theirs"] / line["ours"], 3)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
