"""The public Python API of training runs: ``train``, ``resume`` and their result. Importing it imports nothing
heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..run_folder.folder import new_folder
    from .ending import Outcome, RunResult
    from .grid import draw_grid
    from .run import resume, train

__all__ = ["Outcome", "RunResult", "draw_grid", "new_folder", "resume", "train"]


def __getattr__(name: str) -> Any:
    """Import the run's story when one of its names is first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import grid, run

    return getattr(grid if name == "draw_grid" else run, name)
