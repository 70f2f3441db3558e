"""The public Python API of training runs: ``train``, ``resume`` and their result. Importing it imports nothing
heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..run_folder.folder import new_folder
    from .ending import Outcome, RunResult
    from .grid import draw_grid
    from .more_pictures import draw_more
    from .run import resume, train
    from .word_grid import draw_words

__all__ = ["Outcome", "RunResult", "draw_grid", "draw_more", "draw_words", "new_folder", "resume", "train"]


def __getattr__(name: str) -> Any:
    """Import the run's story when one of its names is first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import grid, more_pictures, run, word_grid

    return getattr({"draw_grid": grid, "draw_more": more_pictures, "draw_words": word_grid}.get(name, run), name)
