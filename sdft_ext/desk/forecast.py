"""How much memory a recipe will need, before it starts, and what to lower where that is too much.

Weights are counted, one by one, from the model's own shapes. What a step's intermediate results take comes from
``coefficients.json``, counted on the CPU by ``python -m bench memory``: on a GPU, whose kernels need some room of their
own, it is an estimate and is called one.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.published import family as published
from ..recipe import FULL, WORDS, OptimizerName, Recipe
from .glance import glance

if TYPE_CHECKING:
    from ..host.base import Described, Memory
    from ..model.base import Family

COEFFICIENTS = Path(__file__).with_name("coefficients.json")
STATES: dict[OptimizerName, float] = {
    "adamw": 2.0,
    "adamw8bit": 0.5,
    "lion": 1.0,
    "prodigy": 4.0,
    "dadaptadam": 3.0,
    "adafactor": 1.6,
    "came": 2.1,
    "adamw_schedule_free": 2.0,
}
"""Numbers that an optimizer keeps for each trained one (a test counts them)."""
ROOM = 0.9
"""Where more than this share of what is free is needed, it may be too much: others use the memory as well."""
SIDES = (768, 512, 384, 256)
PIXELS_AT_ONCE = 4 * 512 * 512
"""Control pictures are drawn so many pixels at a time (see watch/painter.py)."""
MB = 2**20


def forecast(recipe: Recipe, model: Described, memory: Memory, pictures: int = 0) -> dict[str, Any]:
    """Megabytes by part, whether they fit (None: it is close), and in words. ``pictures``: how many the dataset has."""
    family, kind = _family(model.path, model.family), glance(model.path, model.family).family
    on_cpu = model.device in ("cpu", "")
    parts = _parts(recipe, family, kind, pictures if on_cpu else 0, loaded=bool(model.family))
    needed, free = _needed(parts), memory.free_mb
    fits = True if needed <= ROOM * free else False if needed > free else None
    text = _text(needed, free, fits, on_cpu, recipe)
    if fits is not True:
        helps = list(_lower(recipe, family, kind, needed))
        text += (" To need less: " + "; ".join(helps) + ".") if helps else " Choose a smaller base model."
    return {
        "needed_mb": round(needed, 1),
        "free_mb": round(free, 1),
        "parts": {name: round(value, 1) for name, value in parts.items() if value},
        "fits": fits,
        "mode": "shared",
        "text": text,
    }


def adapter_numbers(recipe: Recipe, family: Family) -> int:
    """How many numbers the recipe trains in this model."""
    from ..method import lora
    from ..method.sizes import numbers

    method = recipe.method.name
    if method == "hypernetwork":
        return _network_numbers(recipe, family)
    if method in FULL:
        return _full_numbers(recipe, family)
    total = _word_numbers(recipe, family) if method in WORDS else 0
    if method == "textual_inversion":
        return total
    kind = "lora" if method == "pivotal" else method
    for name, shape in _layers(json.dumps([family.name, family.unet, family.vae, family.text])):
        if not lora.trains(name, recipe):
            continue
        size = lora.size(name, shape, recipe.method.lora)
        if size is not None:
            rank = min(size.rank, lora.most_rank(shape))
            total += numbers(kind, shape, rank, recipe.method.lora.factor)
    return total


def _full_numbers(recipe: Recipe, family: Family) -> int:
    from ..method.base import MethodError
    from ..method.full import trained_names
    from ..model.copies import parameters

    model = _skeleton(json.dumps([family.name, family.unet, family.vae, family.text]))
    try:
        wanted = set(trained_names(model, recipe))
    except MethodError:  # the run itself says what is wrong
        return 0
    return sum(parameter.numel() for name, parameter in parameters(model) if name in wanted)


def _word_numbers(recipe: Recipe, family: Family) -> int:
    named = [word for word in recipe.method.embedding.words if word.strip()]
    words = len(named or [one.trigger for one in recipe.dataset.concepts if one.trigger.strip()])
    return words * recipe.method.embedding.vectors * sum(int(text["hidden_size"]) for text in family.text)


def _network_numbers(recipe: Recipe, family: Family) -> int:
    from ..method.hypernetwork import numbers, widths
    from ..method.sizes import network_numbers

    settings = recipe.method.hypernetwork
    there = widths(_skeleton(json.dumps([family.name, family.unet, family.vae, family.text])))
    try:
        wanted, layers = numbers(settings.sizes) or there, numbers(settings.layer_structure)
    except ValueError:  # the recipe's own check says what is wrong
        return 0
    return sum(network_numbers(int(width), layers, settings.layer_norm) for width in wanted)


def _parts(recipe: Recipe, family: Family, kind: str, pictures: int, loaded: bool) -> dict[str, float]:
    """Megabytes by what they are for. ``training step`` and ``drawing`` come one after the other."""
    train, side = recipe.train, recipe.dataset.resolution
    trained = adapter_numbers(recipe, family) * 4 / MB
    # Weights that are kept in bf16 are widened one by one for their step; what the optimizer and EMA keep is float32.
    held = trained / 2 if recipe.method.name in FULL and recipe.method.full.weights == "bf16" else trained
    drawn_side = recipe.watch.size or side
    prompts = len(recipe.watch.concept_prompts) + len(recipe.watch.bleeding_prompts)
    at_once = min(prompts, max(PIXELS_AT_ONCE // drawn_side**2, 1), 16)
    return {
        "base model": 0.0 if loaded else _whole_numbers(family) * 4 / MB,
        "trained weights": held,
        "gradients": held,
        "optimizer": trained * STATES[train.optimizer],
        "EMA": trained if train.ema else 0.0,
        "pictures": pictures * _cells(side) * 4 * 2 * 4 / MB if recipe.dataset.cache == "memory" else 0.0,
        "training step": _step(recipe, kind),
        "drawing": _line(kind, f"decode {_precision(recipe)}", _cells(drawn_side)) * at_once,
    }


def _needed(parts: dict[str, float]) -> float:
    alternately = ("training step", "drawing")
    return sum(mb for name, mb in parts.items() if name not in alternately) + max(parts[name] for name in alternately)


def _step(recipe: Recipe, kind: str) -> float:
    """Intermediate results of one forward and backward pass."""
    train, precision = recipe.train, _precision(recipe)
    case = f"step {precision}{' checkpointing' if train.checkpointing else ''}"
    mb = _line(kind, case, _cells(recipe.dataset.resolution) * train.batch_size)
    # Each answer of the base that is kept takes another pass, whose results are held beside the first's.
    mb *= 1 + bool(train.class_preservation) + bool(train.blank_preservation)
    if recipe.method.reads_anew:
        figures = _table()[_row(kind)][f"text {precision}"]
        mb += figures["fixed_mb"] + figures["caption_mb"] * train.batch_size
    return mb


def _line(kind: str, case: str, cells: float) -> float:
    figures = _table()[_row(kind)][case]
    return float(figures["fixed_mb"] + figures["cell_kb"] * cells / 1024)


def _row(kind: str) -> str:
    return "sd1" if kind == "sd2" else kind  # the same widths


def _precision(recipe: Recipe) -> str:
    return "fp32" if recipe.train.precision == "fp32" else "bf16"


def _cells(side: int) -> float:
    """Cells of the latent picture."""
    return (side / 8) ** 2


def _lower(recipe: Recipe, family: Family, kind: str, needed: float) -> Iterator[str]:
    """What brings it down, each with what is then needed; the gentlest first."""

    def with_(change: str, **settings: Any) -> Iterator[str]:
        changed = copy.deepcopy(recipe)
        for path, value in settings.items():
            section, _, name = path.partition("_")
            setattr(getattr(changed, section), name, value)
        then = _needed(_parts(changed, family, kind, 0, loaded=True))
        if then < 0.95 * needed:
            yield f"{change} ({_size(then)})"

    train = recipe.train
    if not train.checkpointing:
        yield from with_("train.checkpointing = true", train_checkpointing=True)
    if train.precision == "fp32":
        yield from with_("train.precision = bf16", train_precision="bf16")
    if train.batch_size > 1:
        half = train.batch_size // 2
        yield from with_(f"train.batch_size = {half}", train_batch_size=half)
    if recipe.method.text_encoder and recipe.method.unet:
        yield from with_("method.text_encoder = false", method_text_encoder=False)
    side = next((side for side in SIDES if side < recipe.dataset.resolution), 0)
    if side:
        yield from with_(f"dataset.resolution = {side}", dataset_resolution=side)


def _text(needed: float, free: float, fits: bool | None, on_cpu: bool, recipe: Recipe) -> str:
    word = {True: "that fits", False: "that does not fit", None: "that is close"}[fits]
    if on_cpu:
        text = f"Needs about {_size(needed)} of memory beside what is in use; {_size(free)} are free: {word}."
    else:
        text = (
            f"Estimated, from counts made on the CPU and not from this GPU: about {_size(needed)} beside the loaded model; "
            f"{_size(free)} are free: {word}."
        )
    return text if recipe.train.sdpa else text + " Without SDPA attention it is more than this."


def _size(mb: float) -> str:
    return f"{mb / 1024:.1f} GB" if mb >= 1024 else f"{mb:.0f} MB"


@functools.cache
def _table() -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))
    return found


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
    from ..model import single_file
    from ..model.base import ModelError
    from ..model.borrow import plain
    from ..model.families import detect

    if not path.endswith(".safetensors"):
        return None  # a pickle would have to be read whole
    try:
        checkpoint = single_file.read(Path(path))
        shapes = {plain(key): shape for key, shape in checkpoint.shapes.items()}
        return detect(shapes, checkpoint.metadata, checkpoint.config, path, Path(path).parent)
    except ModelError:
        return None


@functools.lru_cache(maxsize=8)
def _skeleton(facts: str) -> Any:
    """A model of these sizes without memory."""
    from ..model.base import Family, Model
    from ..model.borrow import skeletons

    name, unet, vae, text = json.loads(facts)
    family = Family(name, "epsilon", False, _tuples(unet), _tuples(vae), tuple(text), (1,) * len(text), 1.0)
    parts = skeletons(family)
    return Model(family, parts[0], parts[1], parts[2:], [], None)  # type: ignore[arg-type]


@functools.lru_cache(maxsize=8)
def _layers(facts: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Name and weight shape of every layer that an adapter can stand beside."""
    from ..method.adapters import weight_shape, wrappable

    return tuple((name, weight_shape(module)) for name, module in wrappable(_skeleton(facts)))


def _whole_numbers(family: Family) -> int:
    model = _skeleton(json.dumps([family.name, family.unet, family.vae, family.text]))
    return sum(parameter.numel() for module in model.modules for parameter in module.parameters())


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that diffusers expects."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
