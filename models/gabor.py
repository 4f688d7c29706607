"""A network that needs no photograph to begin with: Gabor filters, as the eye's cortex has them.

Every weight of the trunk is a formula. The bank is M. Lyons et al., Coding Facial Expressions with
Gabor Wavelets (1998), here as strided convolutions on a pyramid (P. Burt, E. Adelson, 1983). What
the filters answer is averaged over the cells of a grid, then divided by the energy of the cells
around (as in N. Dalal, B. Triggs, Histograms of Oriented Gradients, 2005): light and skin go,
creases and their directions stay.
"""

from typing import Any

import numpy as np

from models.framework import paddle

nn: Any = paddle.nn
functional: Any = paddle.nn.functional

GRID = 6  # cells a side
DIRECTIONS = 8
LEVELS = 3  # of the pyramid, each half as large as the one before
WAVES_PX = (4.0, 4.0 * 2**0.5)  # wavelengths at each level: half an octave apart
_WIDTH = 0.35  # deviation of a filter's window in wavelengths: 1.7 octaves of frequency
_REACH = 2.5  # windows are cut off after so many deviations
_FAINT = 1 / 64.0  # energy of a cell that counts as nothing, in units of the input, one grey level


def filters(directions: int = DIRECTIONS) -> np.ndarray:
    """The bank: waves under a Gaussian window, blind to even light.

    Args:
        directions: how many, evenly over half a turn; the first wave runs along x.

    Returns:
        float32 (2 * waves * directions, 1, side, side): all even (cosine) filters, wavelength by
        wavelength, then in the same order all odd (sine) ones.
    """
    reach = int(np.ceil(_REACH * _WIDTH * max(WAVES_PX)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    even, odd = [], []
    for wave in WAVES_PX:
        window = np.exp(-(x**2 + y**2) / (2 * (_WIDTH * wave) ** 2))
        window /= window.sum()
        for turn in np.arange(directions) * np.pi / directions:
            phase = 2 * np.pi / wave * (x * np.cos(turn) + y * np.sin(turn))
            ripple = window * np.cos(phase)
            even.append(ripple - window * ripple.sum())
            odd.append(window * np.sin(phase))
    return np.asarray(np.stack(even + odd)[:, None], np.float32)


class _Energy(nn.Layer):  # type: ignore[misc]
    """Images (N, C, size, size) to each cell's energy (N, levels * waves * directions, h, w).

    Local energy is the root of the squared even and odd answers: it tells that there is a crease,
    not where in the wave it lies, so that a face may be cut a little beside its place.
    """

    def __init__(self, channels: int, grid: int, levels: int, directions: int) -> None:
        super().__init__()
        bank = filters(directions)
        self.bank = nn.Conv2D(channels, len(bank), bank.shape[-1], stride=2, bias_attr=False)
        # Colour, if there is any, is seen as grey.
        self.bank.weight.set_value(np.repeat(bank / channels, channels, axis=1))
        row = np.array([1, 4, 6, 4, 1], np.float32) / 16
        self.halve = nn.Conv2D(channels, channels, 5, stride=2, groups=channels, bias_attr=False)
        self.halve.weight.set_value(np.tile(np.outer(row, row), (channels, 1, 1, 1)))
        self.pool = nn.AdaptiveAvgPool2D(grid)
        self.levels = levels
        self.pairs = len(bank) // 2
        self.edge = bank.shape[-1] // 2

    def forward(self, x: Any) -> Any:
        cells = []
        for level in range(self.levels):
            if level:
                x = self.halve(functional.pad(x, [2] * 4, mode="replicate"))
            answers = self.bank(functional.pad(x, [self.edge] * 4, mode="replicate")).square()
            energy = answers[:, : self.pairs] + answers[:, self.pairs :]
            cells.append(self.pool((energy + 1e-9).sqrt()))
        return paddle.concat(cells, axis=1)


class _Contrast(nn.Layer):  # type: ignore[misc]
    """Each level's energy against that of the cells around, then its root: faint creases count.

    The mean square of a level's 3x3 cells is a convolution with even weights.
    """

    def __init__(self, levels: int, width: int) -> None:
        super().__init__()
        channels = levels * width
        self.around = nn.Conv2D(channels, channels, 3, groups=levels, bias_attr=False)
        self.around.weight.set_value(np.full((channels, width, 3, 3), 1 / (9 * width), np.float32))

    def forward(self, x: Any) -> Any:
        # Not x.square(): Paddle Inference 3 computes that in place, though x is still needed.
        near = self.around(functional.pad(x * x, [1] * 4, mode="replicate"))
        return (x / (near + _FAINT**2).sqrt()).sqrt()


class Gabor(nn.Layer):  # type: ignore[misc]
    """The trunk: images (N, C, size, size) to a map (N, levels * waves * directions, grid, grid).

    Pool it to (grid, grid), which leaves the map as it is: where a crease lies is what tells.
    """

    def __init__(
        self,
        channels: int = 1,
        grid: int = GRID,
        levels: int = LEVELS,
        directions: int = DIRECTIONS,
    ) -> None:
        super().__init__()
        width = len(WAVES_PX) * directions
        self.stages = nn.LayerList(
            [_Energy(channels, grid, levels, directions), _Contrast(levels, width)]
        )
        self.width = levels * width

    def forward(self, x: Any) -> Any:
        for stage in self.stages:
            x = stage(x)
        return x
