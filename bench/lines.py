"""Lines through measured passes: the memory of each moment of a step, for any size of picture, batch and width."""

from __future__ import annotations

from dataclasses import dataclass

from .traced_step import Trace

BATCHES = (2, 4)
"""Batch sizes; each picture adds a caption, however small it is. (A single picture uses some other operations.)"""
GRID = tuple(
    (cells, width) for cells in (4, 16, 64, 256, 1024, 4096, 16384, 65536, 2**18) for width in (1, 8, 32, 128, 512)
)
"""Sizes and widths at which a moment may be the highest."""
MB = 2**20

Line = list[float]
"""[fixed MB, KB by cell, MB by picture, MB by width, KB by cell and width, share of the gradients]: a cell is one of
the latent picture's, the width a LoRA's rank or a hypernetwork's layers.
"""


@dataclass(frozen=True)
class Passes:
    """The same pass at two sizes and in two batches, and (where there is a second width) at two sizes with that."""

    small: Trace
    large: Trace
    several: Trace
    wider: tuple[Trace, Trace] | None

    @property
    def all(self) -> list[Trace]:
        return [self.small, self.large, self.several, *(self.wider or ())]


def lines(found: Passes, cells: tuple[int, int], widths: tuple[float, float]) -> tuple[list[Line], Line]:
    """Return the moments that are the highest anywhere, and the memory held between forward and backward."""
    held = _fit([trace.kept for trace in found.all], cells, widths)
    count = len(found.small.moments)
    if not len(found.large.moments) == len(found.several.moments) == count:
        raise RuntimeError("The step isn't the same at every size.")
    same = all(len(trace.moments) == count for trace in found.all)
    moments = []
    for i in range(count):
        traces = found.all if same else found.all[:3]
        line = _fit([trace.moments[i][0] for trace in traces], cells, widths)
        if not same:
            # A network with more layers has more operations: its stored results grow as the others do.
            share = min(max(line[1] / held[1], 0.0), 1.0)
            line = [
                *(number - widths[0] * more * share for number, more in zip(line[:2], held[3:], strict=True)),
                line[2],
                *(more * share for more in held[3:]),
            ]
        moments.append([*line, found.small.moments[i][1]])
    # Gradients aren't in a moment's bytes: a moment with more of them may be the highest.
    found_highest: list[Line] = []
    for gradients in (0.0, 16.0, 256.0, 4096.0):
        for size, width in GRID:
            highest = max(moments, key=lambda line: value(line, size, width, gradients))
            most = value(highest, size, width, gradients)
            if most > 1.01 * max((value(line, size, width, gradients) for line in found_highest), default=0.0):
                found_highest.append(highest)
    return [_rounded(line) for line in found_highest], _rounded([*held, 0.0])


def value(line: Line, cells: float, width: float, gradients_mb: float) -> float:
    """Compute the megabytes of a line for one picture."""
    fixed, cell, picture, wide, both, share = line
    return fixed + picture + wide * width + (cell + both * width) * cells / 1024 + share * gradients_mb


def _fit(found: list[int], cells: tuple[int, int], widths: tuple[float, float]) -> Line:
    small, large, several, *wider = found
    cells = (BATCHES[0] * cells[0], BATCHES[0] * cells[1])
    fixed, cell = line_through(small, large, cells)
    picture = (several - small) / (BATCHES[1] - BATCHES[0]) - cell * cells[0] / BATCHES[0]
    wide = both = 0.0
    if wider:
        fixed_2, cell_2 = line_through(wider[0], wider[1], cells)
        step = widths[1] - widths[0]
        wide, both = (fixed_2 - fixed) / step, (cell_2 - cell) / step
    fixed, cell = fixed - BATCHES[0] * picture - widths[0] * wide, cell - widths[0] * both
    return [fixed / MB, cell / 1024, picture / MB, wide / MB, both / 1024]


def line_through(small: float, large: float, cells: tuple[int, int]) -> tuple[float, float]:
    """Return intercept and slope of the line through the values at two numbers of cells."""
    each = (large - small) / (cells[1] - cells[0])
    return small - each * cells[0], each


def _rounded(line: Line) -> Line:
    return [round(number, 4) for number in line]
