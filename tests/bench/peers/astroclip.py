"""AstroCLIP's encoders and heads as PyTorch modules of our own, with the official parameter names: what embed.py times beside ours.

The same work as ours for the aligned embeddings: ViT on bare patches, SpecFormer, cross-attention head. Attention is
scaled_dot_product_attention, the fastest that PyTorch has.
"""
import re

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, dim, heads, names):
        super().__init__()
        self.heads, self.qkv_name, self.out_name = heads, *names
        setattr(self, names[0], nn.Linear(dim, 3 * dim))
        setattr(self, names[1], nn.Linear(dim, dim))

    def forward(self, x):
        q, k, v = getattr(self, self.qkv_name)(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return getattr(self, self.out_name)(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, dim, names):
        super().__init__()
        self.up_name, self.down_name = names
        setattr(self, names[0], nn.Linear(dim, 4 * dim))
        setattr(self, names[1], nn.Linear(4 * dim, dim))

    def forward(self, x):
        return getattr(self, self.down_name)(F.gelu(getattr(self, self.up_name)(x)))


class LayerScale(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return x * self.gamma


class VitBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn, self.mlp = Attention(dim, heads, ("qkv", "proj")), Mlp(dim, ("fc1", "fc2"))
        self.ls1, self.ls2 = LayerScale(dim), LayerScale(dim)

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class PatchEmbed(nn.Module):
    def __init__(self, dim, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Vit(nn.Module):
    """Planes (n, 3, 144, 144) to tokens (n, 144, dim)."""

    def __init__(self, dim=1024, depth=24, heads=16, patch=12):
        super().__init__()
        self.patch_embed = PatchEmbed(dim, patch)
        self.blocks = nn.ModuleList(VitBlock(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, x):
        x = self.patch_embed(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class SpecBlock(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.layernorm1, self.layernorm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention, self.mlp = Attention(dim, heads, ("attention", "projection")), Mlp(dim, ("encoder", "decoder"))

    def forward(self, x):
        x = x + self.attention(self.layernorm1(x))
        return x + self.mlp(self.layernorm2(x))


class SpecFormer(nn.Module):
    """Flux (n, 7781) to tokens (n, 778, dim)."""

    def __init__(self, dim=768, layers=6, heads=6, longest=800, section=20, overlap=10):
        super().__init__()
        self.section, self.step = section, section - overlap
        self.data_embed, self.position_embed = nn.Linear(section + 2, dim), nn.Embedding(longest, dim)
        self.blocks = nn.ModuleList(SpecBlock(dim, heads) for _ in range(layers))
        self.final_layernorm = nn.LayerNorm(dim)

    def forward(self, flux):
        mean, std = flux.mean(1, keepdim=True), flux.std(1, keepdim=True).clamp_min(0.2)
        sections = ((flux - mean) / std).unfold(1, self.section, self.step)
        tokens = F.pad(sections, (2, 0, 1, 0))
        tokens[:, 0, 0], tokens[:, 0, 1] = (mean[:, 0] - 2) / 2, (std[:, 0] - 2) / 8
        x = self.data_embed(tokens) + self.position_embed.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.final_layernorm(x)


class CrossAttention(nn.Module):
    def __init__(self, width, dim, heads):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, dim))
        self.multihead_attn = nn.MultiheadAttention(dim, heads, batch_first=True, kdim=width, vdim=width)
        self.layernorm = nn.LayerNorm(dim)

    def forward(self, x):
        y, _ = self.multihead_attn(self.query.expand(len(x), -1, -1), x, x, need_weights=False)
        return self.layernorm(y[:, 0])


class Encoder(nn.Module):
    """An encoder with its head: inputs to embeddings (n, dim)."""

    def __init__(self, backbone, width, residual, dim=1024, heads=4):
        super().__init__()
        self.backbone, self.residual = backbone, residual
        self.cross_attention, self.mlp = CrossAttention(width, dim, heads), Mlp(dim, ("encoder", "decoder"))

    def forward(self, x):
        y = self.cross_attention(self.backbone(x))
        z = self.mlp(y)
        return y + z if self.residual else z


def load(what, folder):
    """The model `what` with the weights that bench_embed wrote; its inputs; our embeddings of them."""
    image = what == "vit_l"
    model = Encoder(Vit(), 1024, False) if image else Encoder(SpecFormer(), 768, True)
    prefix = "image_encoder." if image else "spectrum_encoder."
    numbers = np.memmap(f"{folder}/weights.f32", np.float32, "r")
    state = {}
    for line in open(f"{folder}/weights.txt"):
        name, first, *shape = line.split()
        if name.startswith(prefix):
            shape = [int(n) for n in shape]
            name = re.sub(r"blocks\.\d+\.(\d+)\.", r"blocks.\1.", name[len(prefix) :])
            state[name] = torch.from_numpy(np.array(numbers[int(first) : int(first) + int(np.prod(shape))]).reshape(shape))
    lacking = model.load_state_dict(state, strict=False).missing_keys
    assert not lacking, lacking
    shape = (-1, 3, 144, 144) if image else (-1, 7781)
    inputs = torch.from_numpy(np.fromfile(f"{folder}/inputs.f32", np.float32).reshape(shape))
    return model.eval(), inputs, torch.from_numpy(np.fromfile(f"{folder}/embeddings.f32", np.float32).reshape(len(inputs), -1))
