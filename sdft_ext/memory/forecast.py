"""How much memory a recipe will need, before it starts, and what to lower where that is too much.

The highest of a run's moments (see ``moments``). On the CPU that is held against measured runs (docs/memory.md); on a GPU,
whose kernels need some room of their own, it is an estimate, is called one, and a step tries it before the run begins.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..formats.quick_look import glance
from ..formats.reference_families import family as published
from ..out_of_memory import gigabytes, savings
from ..recipe import Recipe
from .phases import STEPPING, Parts, Place, moments, put_aside, whole

if TYPE_CHECKING:
    from ..formats.family import Family
    from ..host.base import Described, Memory

ROOM = 0.9
"""Where more than this share of what is free is needed, it may be too much: others use the memory as well."""
MB = 2**20


def forecast(recipe: Recipe, model: Described, memory: Memory, pictures: int = 0) -> dict[str, Any]:
    """Megabytes by part, whether they fit (None: it is close), in which mode, and in words.

    ``pictures``: how many the dataset has. ``estimate``: it was counted for another device than the one that trains.
    """
    place = place_of(model, pictures)
    moment, parts = highest(recipe, place)
    needed, free = sum(parts.values()), memory.free_mb
    mode = "shared"
    if not place.on_cpu and needed > ROOM * free:
        then, less = highest(recipe, place, put_aside(recipe, place))
        if sum(less.values()) <= free:
            mode, moment, parts, needed = "exclusive", then, less, sum(less.values())
    fits = True if needed <= ROOM * free else False if needed > free else None
    text = _text(needed, free, fits, model.device, recipe)
    if fits is not True:
        helps = list(_lower(recipe, place))
        text += (" To need less: " + "; ".join(helps) + ".") if helps else " Choose a smaller base model."
    return {
        "needed_mb": round(needed, 1),
        "free_mb": round(free, 1),
        "parts": {name: round(value, 1) for name, value in parts.items() if value},
        "moment": moment,
        "fits": fits,
        "estimate": not place.on_cpu,
        "mode": mode,
        "text": f"{text} {_words(mode, recipe)}",
    }


def highest(recipe: Recipe, place: Place, aside: float = 0.0) -> tuple[str, Parts]:
    """The moment of a run that needs the most, and what it holds then. ``aside``: megabytes put aside while it steps."""
    found = moments(recipe, place)
    if aside:
        found = {name: {**parts, "put aside": -aside} if name in STEPPING else parts for name, parts in found.items()}
    return max(found.items(), key=lambda moment: sum(moment[1].values()))


def place_of(model: Described, pictures: int) -> Place:
    """Where a host's model trains, as far as its file tells."""
    family, on_cpu = _family(model.path, model.family), model.device in ("cpu", "")
    file_mb = 0.0
    with suppress(OSError):
        # A file in halves is widened: both are there for a moment.
        size = Path(model.path).stat().st_size
        file_mb = size / MB if size < 0.75 * 4 * whole(family) else 0.0
    kind = glance(model.path, model.family).family
    return Place(family, kind, on_cpu, bool(model.family), file_mb, pictures, model.dtype)


def least(recipe: Recipe, place: Place) -> float:
    """Megabytes needed in the mode that needs less; on a CPU there is one."""
    shared = sum(highest(recipe, place)[1].values())
    return shared if place.on_cpu else min(shared, sum(highest(recipe, place, put_aside(recipe, place))[1].values()))


def _lower(recipe: Recipe, place: Place) -> Iterator[str]:
    """Name what brings it down, each with what is then needed; the gentlest first."""
    needed = least(recipe, place)
    for setting, value in savings(recipe):
        section, _, name = setting.partition(".")
        changed = copy.deepcopy(recipe)
        setattr(getattr(changed, section), name, value)
        then = least(changed, place)
        if then < 0.95 * needed:
            yield f"{setting} = {str(value).lower()} ({gigabytes(then)})"


def _words(mode: str, recipe: Recipe) -> str:
    from ..run.memory_mode import describe

    return describe(mode, recipe)


def _text(needed: float, free: float, fits: bool | None, device: str, recipe: Recipe) -> str:
    word = {True: "that fits", False: "that does not fit", None: "that is close"}[fits]
    if device in ("cpu", ""):
        text = f"Needs about {gigabytes(needed)} of memory beside what is in use; {gigabytes(free)} are free: {word}."
    else:
        text = (
            f"Estimated, from counts made on the CPU and not from this GPU: about {gigabytes(needed)} beside the loaded model; "
            f"{gigabytes(free)} are free: {word}."
        )
        if device.startswith("cuda"):
            text += " One step measures it before the run begins."
    return text if recipe.train.sdpa else text + " Without SDPA attention it is more than this."


def _family(path: str, told: str) -> Family:
    """The family of the model in a file, or as it was published where the file doesn't tell cheaply."""
    try:
        stat = Path(path).stat()
        found = _read_family(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        found = None
    return found or published(told if told in ("sd1", "sd2", "sdxl") else "sd1")


@functools.lru_cache(maxsize=8)
def _read_family(path: str, modified: int, size: int) -> Family | None:
    from ..errors import ModelError
    from ..formats import single_file
    from ..formats.families import detect
    from ..model.borrow import plain

    if not path.endswith(".safetensors"):
        return None  # a pickle would have to be read whole
    try:
        checkpoint = single_file.read(Path(path))
        shapes = {plain(key): shape for key, shape in checkpoint.shapes.items()}
        return detect(shapes, checkpoint.metadata, checkpoint.config, path, Path(path).parent)
    except ModelError:
        return None
