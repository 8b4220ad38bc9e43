# SPDX-License-Identifier: Apache-2.0
"""The two networks: a detector for the whole image, and an object-coordinate network for a crop.

Both are small residual networks of plain 3x3 convolutions, which on a CPU run closer to the processor's peak than
depthwise ones, in training as well as in inference.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1):
        super().__init__(nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False),
                         nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a skip connection (He et al. 2016)."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = ConvBlock(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.second(self.first(x)))


class Pyramid(nn.Module):
    """Feature pyramid with large receptive field at stride 8: down to stride 32 and up again by addition.

    :param stem: image to ``widths[0]`` channels at stride 4
    :param widths: channels at strides 4, 8, 16, 32
    :param depths: residual blocks at strides 8, 16, 32
    """

    def __init__(self, stem: nn.Module, widths: tuple[int, ...], depths: tuple[int, ...]):
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(
            nn.Sequential(ConvBlock(before, width, 3, 2), *(ResidualBlock(width) for _ in range(depth)))
            for before, width, depth in zip(widths, widths[1:], depths))
        self.laterals = nn.ModuleList(
            [nn.Conv2d(widths[3], widths[2], 1), nn.Conv2d(widths[2], widths[1], 1)])
        self.merges = nn.ModuleList([ConvBlock(widths[2], widths[2]), ConvBlock(widths[1], widths[1])])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features at strides 8 and 32."""
        at_8 = self.stages[0](self.stem(x))
        at_16 = self.stages[1](at_8)
        merged = at_32 = self.stages[2](at_16)
        for coarse_to_fine, merge, fine in zip(self.laterals, self.merges, (at_16, at_8)):
            merged = merge(fine + functional.interpolate(coarse_to_fine(merged), scale_factor=2.0, mode='nearest'))
        return merged, at_32


class Detector(nn.Module):
    """Image (N, 3, H, W), sides multiples of 32 -> (N, 4, H/8, W/8).

    Channels: logit that the object's centre is in the cell; offset of the object's centre from the cell centre in
    cells, u then v; log of the bounding sphere's radius in input pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pyramid = Pyramid(ConvBlock(3, 24, 7, 4), (24, 40, 80, 128), (1, 2, 2))
        self.head = nn.Sequential(ConvBlock(40, 40), nn.Conv2d(40, 4, 1))
        nn.init.constant_(self.head[1].bias, 0.0)
        self.head[1].bias.data[0] = -4.0  # initial bias: nearly every cell is empty

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.pyramid(image)[0])


class CoordinateNetwork(nn.Module):
    """Crop (N, 3, S, S) -> map (N, 5, S/4, S/4) and view (N, 4), S being 128.

    Map: logit that the pixel shows the object; object coordinates x, y, z in units of the mesh's half extents
    about its centre; log of the coordinates' Laplace scale in the same units.
    View: unit vector from the object's centre to the camera, in the object's frame; log of its Laplace scale.
    Coordinates on a single face constrain its tilt weakly; the view is estimated from the whole outline.
    """

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(ConvBlock(3, 16, 5, 2), ConvBlock(16, 32, 3, 2), ResidualBlock(32))
        self.pyramid = Pyramid(stem, (32, 64, 128, 192), (2, 3, 2))
        # four outputs per cell instead of convolutions at stride 4: coordinates are nearly linear inside a cell
        self.head = nn.Sequential(ConvBlock(64, 96), nn.Conv2d(96, 5 * 4, 1), nn.PixelShuffle(2))
        self.view = nn.Sequential(ConvBlock(192, 64, 1), nn.Flatten(), nn.Linear(64 * 4 * 4, 128), nn.ReLU(),
                                  nn.Linear(128, 4))

    def forward(self, crop: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        merged, at_32 = self.pyramid(crop)
        return self.head(merged), self.view(at_32)
