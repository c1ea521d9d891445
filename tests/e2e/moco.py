"""The released layout of MoCo v2, written and read by PyTorch.
    moco.py write CKPT PLAIN    a Lightning checkpoint as Stein et al. released theirs; the same as the code of MoCo itself saves it
    moco.py check CKPT DATASET BASELINES EXPORTED...    features in BASELINES are those of PyTorch of the images in DATASET; what was
                                exported is the query encoder of CKPT"""
import collections
import os
import sys

import h5py
import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "parity"))
from moco import RESNET50, Resnet, randomise  # noqa: E402

WIDTH, DIM, QUEUE, SIZE = 4, 16, 32, 40


def network():
    return Resnet(WIDTH, RESNET50, DIM)


def write(lightning, plain):
    torch.manual_seed(3)
    state = collections.OrderedDict()
    for name in ("encoder_q.", "encoder_k."):
        net = network()
        randomise(net)
        state.update((name + key, value) for key, value in net.state_dict().items())
    for name in ("queue", "val_queue"):
        state[name] = torch.nn.functional.normalize(torch.randn(DIM, QUEUE), dim=0)
        state[name + "_ptr"] = torch.zeros(1, dtype=torch.long)
    hyper = {"base_encoder": "resnet50", "emb_dim": DIM, "num_negatives": QUEUE, "encoder_momentum": 0.996, "use_mlp": True}
    optimizer = {"state": {0: {"momentum_buffer": torch.randn(4, 3)}}, "param_groups": [{"lr": 0.03, "params": [0]}]}
    torch.save({"epoch": 751, "global_step": 5, "pytorch-lightning_version": "1.6.4", "state_dict": state, "loops": None,
                "callbacks": {"ModelCheckpoint{}": {"best_model_score": None, "dirpath": "x"}},
                "optimizer_states": [optimizer], "lr_schedulers": [{"T_max": 1500, "_last_lr": [0.03]}],
                "hparams_name": "kwargs", "hyper_parameters": hyper}, lightning)
    kept = {"module." + key: value for key, value in state.items() if not key.startswith("val_")}
    torch.save({"epoch": 200, "arch": "resnet50", "state_dict": kept, "optimizer": optimizer}, plain)


def query(path):
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return {key[len("encoder_q."):]: value for key, value in state.items() if key.startswith("encoder_q.")}


def view(image):
    """Bands g, r, z of nanomaggies as the released ToRGB and ToTensor leave their centre: planes z, r, g, transposed."""
    first = image.shape[1] // 2 - SIZE // 2
    image = np.swapaxes(image, 0, 2)[first:first + SIZE, first:first + SIZE][:, :, ::-1]
    scales, m, q = np.array([2.2, 3.4, 6.0]), 0.03, 20
    mean = np.maximum(0, image * scales + m).sum(-1) / 3
    stretch = np.arcsinh(q * mean) / np.sqrt(q)
    mean += (mean == 0) * 1e-6
    factor = (scales + m * (stretch / mean)[..., None]).astype(np.float32)
    return np.clip(image * factor, 0, 1).transpose(2, 0, 1)


def rows(ckpt, dataset, baselines):
    net = network()
    net.load_state_dict(query(ckpt))
    net.eval().double()
    with h5py.File(dataset) as d, h5py.File(baselines) as b:
        images, row = d["images"], d["images/row"][:]
        usable = (images["flag"][:] & images.attrs["fatal"]) == 0
        got = b["moco/values"][:]
        assert np.isfinite(got).all(1).sum() == usable.sum() > 20, "rows"
        assert (np.isnan(got).all(1) | np.isfinite(got).all(1)).all(), "halves of rows"
        pick = np.flatnonzero(usable)[::5]
        x = np.stack([view(images["pixels"][i]) for i in pick]).astype(np.float64)
        want = net.features(torch.from_numpy(x)).detach().numpy()
        assert got.shape[1] == want.shape[1], got.shape
        error = np.abs(got[row[pick]] - want).max() / np.abs(want).max()
        assert error < 2e-5, error  # of float32 through fifty layers


def same(ckpt, exported):
    want, got = query(ckpt), query(exported)
    names = {name for name in want if not name.endswith("num_batches_tracked")}
    assert set(got) == names, set(got) ^ names
    assert all(torch.equal(got[name], want[name]) for name in names)


def check(ckpt, dataset, baselines, *exported):
    rows(ckpt, dataset, baselines)
    for path in exported:
        same(ckpt, path)


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
