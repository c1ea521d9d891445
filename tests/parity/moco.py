"""moco.py OUT.h5: what PyTorch makes of MoCo v2 (He et al. 2020, Chen et al. 2020) with a small residual network, in double:
network, loss, queue, and a few steps of training. test_moco.c compares. The network is torchvision's, written out, for
torchvision may not be there."""
import sys

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.sgd import sgd  # the class would load a compiler, which takes longer than all of this

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


def loss_of(q, k, queue, temperature):
    """Of directions: the own key stands first."""
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long)), logits


def asking(f):
    n, dim, n_queue, temperature = 6, 9, 40, 0.2
    f.attrs.update(ask_n=n, ask_dim=dim, ask_queue=n_queue, ask_temperature=temperature)
    query = torch.randn(n, dim, requires_grad=True)
    key, queue = F.normalize(query.detach() + torch.randn(n, dim), dim=1), F.normalize(torch.randn(n_queue, dim), dim=1)
    loss, logits = loss_of(F.normalize(query, dim=1), key, queue, temperature)
    loss.backward()
    f["ask/query"], f["ask/key"], f["ask/queue"] = query.detach().numpy(), key.numpy(), queue.numpy()
    f["ask/loss"], f["ask/d_query"] = loss.item(), query.grad.numpy()
    for k in (1, 5):
        f[f"ask/top{k}"] = int((logits.topk(k, 1).indices == 0).any(1).sum())


def training(f):
    """Steps as Moco_v2 of ssl-legacysurvey makes them on one device."""
    steps, n, n_queue, temperature, momentum = 4, 3, 8, 0.2, 0.9
    how = {"lr": 0.02, "momentum": 0.8, "weight_decay": 1e-2}
    f.attrs.update(steps=steps, n_queue=n_queue, temperature=temperature, encoder_momentum=momentum, **how)
    query, key = Resnet(), Resnet()
    randomise(query)
    key.load_state_dict(query.state_dict())
    weights = list(query.parameters())
    sums = [None] * len(weights)
    queue, at = F.normalize(torch.randn(n_queue, N_OUT), dim=1), 0
    put(f.create_group("training/params"), query.state_dict())
    f["training/queue"] = queue.numpy().copy()
    views = torch.randn(steps, 2, n, 3, SIZE, SIZE)
    f["training/views"] = views.numpy().reshape(-1, 3, SIZE, SIZE)
    losses = []
    for step in range(steps):
        with torch.no_grad():
            for p, q in zip(key.parameters(), query.parameters()):
                p.copy_(momentum * p + (1 - momentum) * q)
            k = F.normalize(key(views[step, 1]), dim=1)
        loss, _ = loss_of(F.normalize(query(views[step, 0]), dim=1), k, queue.clone(), temperature)
        for i in range(n):
            queue[(at + i) % n_queue] = k[i]
        at = (at + n) % n_queue
        gradients = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            sgd(weights, gradients, sums, foreach=False, dampening=0, nesterov=False, maximize=False, **how)
        losses.append(loss.item())
    f["training/losses"] = losses
    f["training/last_queue"] = queue.numpy()
    put(f.create_group("training/query"), dict(query.named_parameters()))
    put(f.create_group("training/key"), dict(key.named_parameters()))


def main(path):
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(5)
    torch.set_num_threads(1)
    with h5py.File(path, "w", libver="v110") as f:
        network(f)
        asking(f)
        training(f)


if __name__ == "__main__":
    main(sys.argv[1])
