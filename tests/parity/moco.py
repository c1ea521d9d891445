"""moco.py OUT.h5: what PyTorch makes of MoCo v2 (He et al. 2020, Chen et al. 2020) with a small residual network, in double:
network, loss, queue, and a few steps of training. test_moco.c compares. The network is torchvision's, written out, for
torchvision may not be there."""
import sys

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SIZE, WIDTH, N_OUT, BATCH, BLOCKS = 40, 4, 6, 3, (1, 2, 1, 1)
RESNET50 = (3, 4, 6, 3)


class Bottleneck(nn.Module):
    def __init__(self, c_in, width, stride):
        super().__init__()
        c_out = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(c_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, c_out, 1, bias=False), nn.BatchNorm2d(c_out)
        self.downsample = None
        if stride != 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + (self.downsample(x) if self.downsample else x))


class Resnet(nn.Module):
    def __init__(self, width=WIDTH, blocks=BLOCKS, n_out=N_OUT):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        c_in = width
        for i, n in enumerate(blocks):
            layer = []
            for k in range(n):
                layer.append(Bottleneck(c_in, width << i, 2 if i > 0 and k == 0 else 1))
                c_in = 4 * (width << i)
            setattr(self, f"layer{i + 1}", nn.Sequential(*layer))
        self.fc = nn.Sequential(nn.Linear(c_in, c_in), nn.ReLU(), nn.Linear(c_in, n_out))

    def features(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return x.mean((2, 3))

    def forward(self, x):
        return self.fc(self.features(x))


def put(group, state):
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            group[name] = value.detach().numpy()


def randomise(net):
    for name, value in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var") or value.ndim == 1 and name.endswith("weight"):
            value.uniform_(0.5, 1.5)
        else:
            value.normal_(0, 1 / np.sqrt(max(1, value[0].numel())))


def network(f):
    net = Resnet()
    randomise(net)
    f.attrs.update(size=SIZE, width=WIDTH, n_out=N_OUT, batch=BATCH)
    f["blocks"] = np.array(BLOCKS)
    put(f.create_group("params"), net.state_dict())
    image, w = torch.randn(BATCH, 3, SIZE, SIZE), torch.randn(BATCH, N_OUT)
    f["image"], f["w"] = image.numpy(), w.numpy()
    net.eval()
    f["features"], f["eval"] = net.features(image).detach().numpy(), net(image).detach().numpy()
    net.train()
    out = net(image)
    f["train"] = out.detach().numpy()
    (out * w).sum().backward()
    put(f.create_group("grads"), {name: p.grad for name, p in net.named_parameters()})


def main(path):
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(5)
    torch.set_num_threads(1)
    with h5py.File(path, "w", libver="v110") as f:
        network(f)


if __name__ == "__main__":
    main(sys.argv[1])
