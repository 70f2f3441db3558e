"""The memory forecast: how much memory a recipe will need, and what to lower where that is too much.

A run needs as much as the highest of its phases (see ``phases``). For the CPU the forecast is checked against measured
runs (docs/memory.md); for a GPU, whose kernels need some memory of their own, it is called an estimate, and one trial
step measures it before the run begins.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ModelError
from ..formats import single_file
from ..formats.families import detect
from ..formats.family import Family
from ..formats.quick_look import model_kind
from ..formats.reference_families import family as published
from ..model.borrow import file_key
from ..model.skeleton import model_numbers
from ..out_of_memory import gigabytes
from ..recipe import Recipe
from ..run import memory_mode
from .lower import needing_less
from .phases import STEPPING, Parts, Place, offloaded, phases

if TYPE_CHECKING:
    from ..host.base import Described, Memory

ROOM = 0.9
"""Share of the free memory that a run may need and still fit safely: other programs use memory as well."""
MB = 2**20
WITHOUT_MEMORY = (
    "train.learning_rate",
    "train.text_encoder_learning_rate",
    "train.length",
    "train.length_unit",
    "train.schedule",
    "train.warmup",
    "train.seed",
    "save.name",
    "save.output",
    "save.every",
    "save.every_unit",
)
"""Settings that are changed often and need no memory."""
MOST_COUNTED = 256
_COUNTED: dict[str, tuple[float, float]] = {}


def forecast(recipe: Recipe, model: Described, memory: Memory, pictures: int = 0) -> dict[str, Any]:
    """Forecast megabytes by part, whether they fit (None: it is close), in which mode, and as a sentence.

    ``pictures``: how many the dataset has. ``estimate`` in the answer: counted for another device than the one that
    trains.
    """
    place, free = place_of(model, pictures), memory.free_mb
    mode, phase, parts = _mode(recipe, place, free)
    needed = sum(parts.values())
    fits = _fits(needed, free)
    text = _text(needed, free, fits, model.device, recipe)
    if fits is not True:
        text += f" {needing_less(recipe, lambda changed: least(changed, place), ROOM * free, free)}"
    return {
        "needed_mb": round(needed, 1),
        "free_mb": round(free, 1),
        "parts": {name: round(value, 1) for name, value in parts.items() if value},
        "moment": phase,
        "fits": fits,
        "estimate": not place.on_cpu,
        "mode": mode,
        "text": f"{text} {memory_mode.describe(mode, recipe)}",
    }


def forecasts(
    recipes: Mapping[str, Recipe], model: Described, memory: Memory, pictures: int = 0
) -> dict[str, dict[str, Any]]:
    """Forecast only megabytes and whether they fit (None: it is close), for several recipes. Counts are kept: a page
    asks again whenever a setting changes.
    """
    place, free, found = place_of(model, pictures), memory.free_mb, {}
    for name, recipe in recipes.items():
        needed, less = _peaks(recipe, place)
        if not place.on_cpu and needed > ROOM * free and less <= free:
            needed = less
        found[name] = {"needed_mb": round(needed, 1), "fits": _fits(needed, free)}
    return found


def _peaks(recipe: Recipe, place: Place) -> tuple[float, float]:
    """Return the megabytes that a run needs in shared and in exclusive mode, counted or as counted before."""
    plain = copy.deepcopy(recipe)
    for path in WITHOUT_MEMORY:
        section, _, name = path.partition(".")
        setattr(getattr(plain, section), name, None)
    for concept in plain.dataset.concepts:
        concept.name = concept.instance = concept.regularization = ""
    key = repr((plain, place))
    if key not in _COUNTED:
        exclusive = {} if place.on_cpu else highest(recipe, place, offloaded(recipe, place))[1]
        _COUNTED[key] = sum(highest(recipe, place)[1].values()), sum(exclusive.values())
        while len(_COUNTED) > MOST_COUNTED:
            _COUNTED.pop(next(iter(_COUNTED)), None)
    return _COUNTED[key]


def _fits(needed: float, free: float) -> bool | None:
    return True if needed <= ROOM * free else False if needed > free else None


def _mode(recipe: Recipe, place: Place, free: float) -> tuple[str, str, Parts]:
    """Return the mode that a run will have with so many megabytes free, its highest phase, and the parts of that."""
    phase, parts = highest(recipe, place)
    if not place.on_cpu and sum(parts.values()) > ROOM * free:
        then, less = highest(recipe, place, offloaded(recipe, place))
        if sum(less.values()) <= free:
            return "exclusive", then, less
    return "shared", phase, parts


def highest(recipe: Recipe, place: Place, megabytes: float = 0.0) -> tuple[str, Parts]:
    """Find the phase of a run that needs the most, and its parts. ``megabytes``: offloaded while it steps."""
    found = phases(recipe, place)
    if megabytes:
        found = {
            name: {**parts, "offloaded": -megabytes} if name in STEPPING else parts for name, parts in found.items()
        }
    return max(found.items(), key=lambda phase: sum(phase[1].values()))


def place_of(model: Described, pictures: int) -> Place:
    """Describe where a host's model trains, as far as its file says."""
    family, on_cpu = _family(model.path, model.family), model.device in ("cpu", "")
    file_mb = 0.0
    with suppress(OSError):
        # A file in half precision is converted: for a moment both are in memory.
        size = Path(model.path).stat().st_size
        file_mb = size / MB if size < 0.75 * 4 * model_numbers(family) else 0.0
    kind = model_kind(model.path, model.family).family
    return Place(family, kind, on_cpu, bool(model.family), file_mb, pictures, model.dtype)


def least(recipe: Recipe, place: Place) -> float:
    """Count the megabytes needed in the mode that needs less; on a CPU there is one mode."""
    shared, exclusive = _peaks(recipe, place)
    return shared if place.on_cpu else min(shared, exclusive)


def _text(needed: float, free: float, fits: bool | None, device: str, recipe: Recipe) -> str:
    verdict = {True: "that fits", False: "that does not fit", None: "that is close"}[fits]
    if device in ("cpu", ""):
        text = (
            f"Needs about {gigabytes(needed)} of memory beyond what is in use; {gigabytes(free)} are free: {verdict}."
        )
    else:
        text = (
            f"Estimated from counts made on the CPU, not from this GPU: about {gigabytes(needed)} besides the loaded "
            f"model; "
            f"{gigabytes(free)} are free: {verdict}."
        )
        if device.startswith("cuda"):
            text += " One step measures it before the run begins."
    return text if recipe.train.sdpa else text + " Without SDPA attention it needs more than this."


def _family(path: str, name: str) -> Family:
    """Return the family of the model in a file, or the published one of this name where the file doesn't tell
    cheaply.
    """
    try:
        stat = Path(path).stat()
        found = _read_family(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        found = None
    return found or published(name if name in ("sd1", "sd2", "sdxl") else "sd1")


@functools.lru_cache(maxsize=8)
def _read_family(path: str, _modified: int, _size: int) -> Family | None:
    if not path.endswith(".safetensors"):
        return None  # a pickle would have to be read whole
    try:
        checkpoint = single_file.read(Path(path))
        shapes = {file_key(key): shape for key, shape in checkpoint.shapes.items()}
        return detect(shapes, checkpoint.metadata, checkpoint.config, path, Path(path).parent)
    except ModelError:
        return None
