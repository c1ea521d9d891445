"""Both encoders and their heads again, in double, with the deterministic weights: plain numpy, one object at a time.

Names of tensors are those of the released checkpoints; a weight is a function of its name, its index and the seed."""

import math

import numpy as np

MASK64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def units(name, n, seed):
    """n numbers in [-1, 1): FNV-1a of the name, splitmix64 of the index."""
    h = 0xCBF29CE484222325
    for byte in name.encode("ascii"):
        h = (h ^ byte) * 0x100000001B3 & MASK64
    base = h ^ (seed * GOLDEN & MASK64)
    with np.errstate(over="ignore"):
        z = np.uint64(base) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(float) * 2.0**-23 - 1


def tensor(name, shape, seed):
    last = name.rsplit(".", 1)[-1]
    if last == "gamma":
        offset, scale = 0.5, 0.25
    elif last == "weight_g" or last == "running_var" or (last == "weight" and len(shape) == 1):
        offset, scale = 1.0, 0.25
    elif last == "running_mean" or last.endswith("bias"):
        offset, scale = 0.0, 0.1
    elif last in ("cls_token", "pos_embed", "mask_token", "query") or name.endswith("position_embed.weight"):
        offset, scale = 0.0, 0.5
    else:
        offset, scale = 0.0, math.sqrt(3.0 / (np.prod(shape[1:]) if len(shape) > 1 else shape[0]))
    value = offset + float(np.float32(scale)) * units(name, int(np.prod(shape)), seed)
    return value.astype(np.float32).astype(float).reshape(shape)


class Weights:
    """Tensors behind a prefix, made when they are asked for, kept."""

    def __init__(self, prefix, seed):
        self.prefix, self.seed, self.kept = prefix, seed, {}

    def __call__(self, name, *shape):
        if name not in self.kept:
            self.kept[name] = tensor(self.prefix + name, shape, self.seed)
        assert self.kept[name].shape == shape
        return self.kept[name]

    def linear(self, x, name, n_out):
        return x @ self(f"{name}.weight", n_out, x.shape[-1]).T + self(f"{name}.bias", n_out)

    def norm(self, x, name, eps):
        d = x.shape[-1]
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps) * self(f"{name}.weight", d) + self(
            f"{name}.bias", d
        )


_erf = np.frompyfunc(math.erf, 1, 1)


def gelu(x):
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)).astype(float))


def attention(q, k, v, heads):
    """(rows, D) each; the features of a head lie side by side."""
    split = lambda a: a.reshape(len(a), heads, -1).transpose(1, 0, 2)
    q, k, v = split(q), split(k), split(v)
    score = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
    score = np.exp(score - score.max(axis=-1, keepdims=True))
    return (score / score.sum(axis=-1, keepdims=True) @ v).transpose(1, 0, 2).reshape(q.shape[1], -1)


def self_attention(w, x, qkv, projection, heads):
    d = x.shape[-1]
    q, k, v = np.split(w.linear(x, qkv, 3 * d), 3, axis=-1)
    return w.linear(attention(q, k, v, heads), projection, d)


# ---- images


def to_rgb(pixels, crop):
    """(3, n, n) nanomaggies g, r, z to (3, crop, crop) planes R, G, B, in single precision: arcsinh stretch, crop."""
    f = np.float32
    shifted = [pixels[k] * f(s) + f(0.03) for k, s in enumerate((6.0, 3.4, 2.2))]
    intensity = (np.maximum(shifted[0], 0) + np.maximum(shifted[1], 0) + np.maximum(shifted[2], 0)) / f(3)
    stretched = np.arcsinh(f(20) * intensity) / f(math.sqrt(20))
    intensity = np.where(intensity == 0, f(1e-6), intensity)
    planes = np.clip(np.stack([shifted[k] * stretched / intensity for k in (2, 1, 0)]), 0, 1)
    top = int(np.rint((pixels.shape[-1] - crop) / 2))
    return planes[:, top : top + crop, top : top + crop].astype(float)


class Vit:
    def __init__(self, c, seed):
        self.c, self.w = c, Weights("image_encoder.backbone.", seed)

    def patches(self, planes):
        p, n = self.c["patch_size"], self.c["image_size"] // self.c["patch_size"]
        cut = planes.reshape(3, n, p, n, p).transpose(1, 3, 0, 2, 4).reshape(n * n, 3 * p * p)
        d = self.c["embed_dim"]
        return cut @ self.w("patch_embed.proj.weight", d, 3, p, p).reshape(d, -1).T + self.w("patch_embed.proj.bias", d)

    def blocks(self, x):
        c, w, d = self.c, self.w, self.c["embed_dim"]
        for i in range(c["depth"]):
            b = f"blocks.{i // (c['depth'] // c['block_chunks'])}.{i}" if c["block_chunks"] else f"blocks.{i}"
            x = x + w(f"{b}.ls1.gamma", d) * self_attention(
                w, w.norm(x, f"{b}.norm1", 1e-6), f"{b}.attn.qkv", f"{b}.attn.proj", c["num_heads"]
            )
            hidden = gelu(w.linear(w.norm(x, f"{b}.norm2", 1e-6), f"{b}.mlp.fc1", 4 * d))
            x = x + w(f"{b}.ls2.gamma", d) * w.linear(hidden, f"{b}.mlp.fc2", d)
        return w.norm(x, "norm", 1e-6)

    def encode(self, planes):
        """Tokens for the head: bare patches; and the class token of the usual path, with class token and positions."""
        patches = self.patches(planes)
        d = self.c["embed_dim"]
        whole = (
            np.concatenate([self.w("cls_token", 1, 1, d)[0], patches]) + self.w("pos_embed", 1, len(patches) + 1, d)[0]
        )
        return self.blocks(patches), self.blocks(whole)[0]


# ---- spectra


def to_tokens(flux, length, overlap):
    x = flux.astype(float)
    mean, std = x.mean(), max(x.std(ddof=1), 0.2)
    x = (x - mean) / std
    starts = np.arange(0, len(x) - overlap, length - overlap)[:-1]  # the last section is always dropped
    tokens = np.zeros((1 + len(starts), 2 + length))
    tokens[0, :2] = (mean - 2) / 2, (std - 2) / 8
    for s, start in enumerate(starts):
        tokens[1 + s, 2:] = x[start : start + length]
    return tokens


class SpecFormer:
    def __init__(self, c, seed):
        self.c, self.w = c, Weights("spectrum_encoder.backbone.", seed)

    def encode(self, flux):
        """Tokens for the head, and their mean: SpecFormer's own embedding."""
        c, w, d = self.c, self.w, self.c["embed_dim"]
        tokens = to_tokens(flux, c["slice_section_length"], c["slice_overlap"])
        x = w.linear(tokens, "data_embed", d) + w("position_embed.weight", c["max_len"], d)[: len(tokens)]
        for i in range(c["num_layers"]):
            b = f"blocks.{i}"
            x = x + self_attention(
                w,
                w.norm(x, f"{b}.layernorm1", 1e-5),
                f"{b}.attention.attention",
                f"{b}.attention.projection",
                c["num_heads"],
            )
            hidden = gelu(w.linear(w.norm(x, f"{b}.layernorm2", 1e-5), f"{b}.mlp.encoder", 4 * d))
            x = x + w.linear(hidden, f"{b}.mlp.decoder", d)
        x = w.norm(x, "final_layernorm", 1e-5)
        return x, x.mean(axis=0)


# ---- heads


class Head:
    """A learned query gathers the tokens; an MLP follows, around which spectra have a residual."""

    def __init__(self, prefix, width, heads, residual, seed):
        self.w, self.width, self.heads, self.residual = Weights(prefix, seed), width, heads, residual

    def __call__(self, tokens):
        w, e, d = self.w, self.width, tokens.shape[-1]
        a = "cross_attention.multihead_attn."
        if d == e:
            wq, wk, wv = np.split(w(a + "in_proj_weight", 3 * e, e), 3)
        else:
            wq, wk, wv = w(a + "q_proj_weight", e, e), w(a + "k_proj_weight", e, d), w(a + "v_proj_weight", e, d)
        bq, bk, bv = np.split(w(a + "in_proj_bias", 3 * e), 3)
        query = w("cross_attention.query", 1, 1, e)[0]
        gathered = attention(query @ wq.T + bq, tokens @ wk.T + bk, tokens @ wv.T + bv, self.heads)
        y = w.norm(w.linear(gathered, a + "out_proj", e), "cross_attention.layernorm", 1e-5)
        out = w.linear(gelu(w.linear(y, "mlp.encoder", 4 * e)), "mlp.decoder", e)
        return (y + out if self.residual else out)[0]


class Model:
    def __init__(self, config):
        c, seed = config["model"], config["embed"]["weights_seed"]
        self.crop = c["image"]["image_size"]
        self.vit, self.specformer = Vit(c["image"], seed), SpecFormer(c["spectrum"], seed)
        self.image_head = Head("image_encoder.", c["embed_dim"], c["head_heads"], False, seed)
        self.spectrum_head = Head("spectrum_encoder.", c["embed_dim"], c["head_heads"], True, seed)

    def image(self, pixels):
        tokens, single = self.vit.encode(to_rgb(pixels, self.crop))
        return self.image_head(tokens), single

    def spectrum(self, flux):
        tokens, single = self.specformer.encode(flux)
        return self.spectrum_head(tokens), single
