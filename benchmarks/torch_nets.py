"""The same networks in PyTorch, and how PyTorch is fastest on a processor."""

import contextlib
from pathlib import Path

import torch
from torch import nn


def of_rank(rank):
    """Convolution, pooling, transposed convolution and normalisation of 2-D or 3-D."""
    kinds = ("Conv", "MaxPool", "ConvTranspose", "BatchNorm")
    return [getattr(nn, f"{kind}{rank}d") for kind in kinds]


class UNet(nn.Module):
    """models.unet(..., padding="same", norm="batch", dropout=0, activation=None)."""

    def __init__(self, rank, classes, width, depth):
        super().__init__()
        conv, pool, up, norm = of_rank(rank)
        widths = [width * 2**stage for stage in range(depth + 1)]

        def two_convs(before, after):
            layers = []
            for inputs in (before, after):
                layers += [conv(inputs, after, 3, padding=1), norm(after), nn.ReLU(inplace=True)]
            return nn.Sequential(*layers)

        pairs = list(zip(widths, widths[1:], strict=False))
        self.pool = pool(2)
        self.down = nn.ModuleList(two_convs(a, b) for a, b in [(1, width), *pairs])
        self.ups = nn.ModuleList(up(b, a, 2, stride=2) for a, b in reversed(pairs))
        self.joins = nn.ModuleList(two_convs(2 * a, a) for a, _ in reversed(pairs))
        self.logits = conv(width, classes, 1)

    def forward(self, x):
        maps = []
        for stage, convs in enumerate(self.down):
            x = convs(self.pool(x) if stage else x)
            maps.append(x)
        for up, join, skip in zip(self.ups, self.joins, maps[-2::-1], strict=True):
            x = join(torch.cat([up(x), skip], 1))
        return self.logits(x)


class Stage(nn.Module):
    """Convolutions with normalisation and PReLU; the shortcut is added before the last PReLU."""

    def __init__(self, rank, before, channels, count):
        super().__init__()
        conv, _, _, norm = of_rank(rank)
        inputs = [before] + [channels] * (count - 1)
        self.convs = nn.ModuleList(
            nn.Sequential(conv(n, channels, 5, padding=2), norm(channels)) for n in inputs
        )
        self.slopes = nn.ModuleList(nn.PReLU(channels) for _ in inputs)

    def forward(self, x):
        shortcut = x
        for number, (conv, slope) in enumerate(zip(self.convs, self.slopes, strict=True), 1):
            x = conv(x)
            x = slope(x + shortcut if number == len(self.convs) else x)
        return x


class VNet(nn.Module):
    """models.vnet(..., norm="batch", activation=None)."""

    def __init__(self, rank, classes, width, convolutions):
        super().__init__()
        conv, _, up, norm = of_rank(rank)
        widths = [width * 2**level for level in range(len(convolutions))]
        pairs = list(zip(widths, widths[1:], strict=False))

        def change(kind, before, after):
            return nn.Sequential(kind(before, after, 2, stride=2), norm(after), nn.PReLU(after))

        self.halves = nn.ModuleList(change(conv, a, b) for a, b in pairs)
        self.down = nn.ModuleList(
            Stage(rank, n if level else 1, n, convolutions[level]) for level, n in enumerate(widths)
        )
        self.up = nn.ModuleList(
            Stage(rank, 2 * a, 2 * a, count)
            for (a, _), count in zip(reversed(pairs), convolutions[-2::-1], strict=True)
        )
        # Our way up doubles: a stage hands on the channels of map and skip together.
        self.doubles = nn.ModuleList(
            change(up, b if not done else 2 * b, a) for done, (a, b) in enumerate(reversed(pairs))
        )
        self.logits = conv(2 * width, classes, 1)

    def forward(self, x):
        maps = []
        for level, stage in enumerate(self.down):
            x = stage(self.halves[level - 1](x) if level else x)
            maps.append(x)
        for double, stage, skip in zip(self.doubles, self.up, maps[-2::-1], strict=True):
            x = stage(torch.cat([double(x), skip], 1))
        return self.logits(x)


def dyn_unet(rank, classes, width, depth):
    """MONAI's U-Net with the same convolutions; its stages halve by stride, without pooling."""
    from monai.networks.nets import DynUNet

    return DynUNet(
        spatial_dims=rank,
        in_channels=1,
        out_channels=classes,
        kernel_size=[3] * (depth + 1),
        strides=[1] + [2] * depth,
        upsample_kernel_size=[2] * depth,
        filters=[width * 2**stage for stage in range(depth + 1)],
        norm_name="batch",
        act_name=("relu", {"inplace": True}),
    )


def fast(net):
    """Lay a network's weights out channels last: what convolutions on a processor want."""
    rank = max(weight.dim() for weight in net.parameters()) - 2
    return net.to(memory_format=torch.channels_last if rank == 2 else torch.channels_last_3d)


def tensor(images):
    """A tensor (batch, channels, *spatial), channels last in memory, that shares the array's."""
    return torch.from_numpy(images).movedim(-1, 1)


def precision():
    """bfloat16 where the processor has its instructions, else float32."""
    flags = Path("/proc/cpuinfo")
    if flags.exists() and {"avx512_bf16", "amx_bf16"} & set(flags.read_text().split()):
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def weights(net):
    """Count what a network learns: of its convolutions' kernels, and in all."""
    sizes = [(weight.dim() > 2, weight.numel()) for weight in net.parameters()]
    return {"kernels": sum(n for kernel, n in sizes if kernel), "weights": sum(n for _, n in sizes)}
