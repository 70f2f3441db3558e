"""Draw the grid of a run that has ended: a stopped run frees its host at once, and leaves the grid for later."""

from __future__ import annotations

from pathlib import Path

from ..control import RunControl
from ..host.base import Host
from ..method import METHODS
from ..watch.controls import Controls
from ..watch.report import report
from .after_the_end import Kind, Lent, perform
from .display import DRAWING

GRID = Kind("grid_requested", DRAWING, "There is no grid.")


def draw_grid(
    folder: Path, *, control: RunControl | None = None, host: Host | None = None, quiet: bool = False
) -> Path | None:
    """Draw a run's saves × control prompts with the model that it was trained on; return the picture, or None where it
    was stopped, or can't be drawn.

    Afterwards the run has the status that it had before; its message says why there is no grid.
    """
    return perform(GRID, folder, _draw, control, host, quiet)


def _draw(lent: Lent) -> Path:
    controls = Controls(lent.folder, lent.recipe.watch)
    path = controls.folder / "grid.png"
    lent.painter.draw_grid(lent.saves, controls, METHODS[lent.recipe.method.name](), path)
    report(lent.folder)
    return path
