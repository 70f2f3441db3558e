"""What a run holds at each of its moments, in megabytes by what it is for: the highest moment is what it needs.

Weights, gradients and optimizer are counted from the model's own shapes. What a step and a picture take between comes from
``coefficients.json``, counted on the CPU by ``python -m bench memory``.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..recipe import FULL, WORDS, OptimizerName, Recipe

if TYPE_CHECKING:
    from ..formats.family import Family

COEFFICIENTS = Path(__file__).with_name("coefficients.json")
STATES: dict[OptimizerName, float] = {
    "adamw": 2.0,
    "adamw8bit": 0.5,
    "lion": 1.0,
    "prodigy": 4.0,
    "dadaptadam": 3.0,
    "adafactor": 1.1,
    "came": 2.1,
    "adamw_schedule_free": 2.0,
}
"""Numbers (of float32's size) that an optimizer keeps for each trained one (a test counts them); of those that keep rows and columns for a matrix, as
with a LoRA."""
FACTORED: dict[OptimizerName, tuple[float, int]] = {"adafactor": (0.5, 1), "came": (1.0, 2)}
"""What these keep for each number (adafactor's mean is in bfloat16), and how many pairs of rows and columns beside."""
PIXELS_AT_ONCE = 4 * 512 * 512
"""Control pictures are drawn so many pixels at a time (see watch/painter.py)."""
ON_GPU = 1.13
"""What a step takes there of what is counted on a CPU: between 1.0 and 1.2 on an H100 (docs/memory.md)."""
ENCODED_AT_ONCE = 512 * 512
"""So are the dataset's pictures encoded, four at most (see dataset/cache.py)."""
MB = 2**20
Parts = dict[str, float]


@dataclass(frozen=True)
class Place:
    """Where a recipe runs. ``kind`` is the family's name, or toy; ``file_mb`` what its file holds in another format than float32;
    ``held`` the number format of the loaded model, where that is known."""

    family: Family
    kind: str
    on_cpu: bool
    loaded: bool
    file_mb: float = 0.0
    pictures: int = 0
    held: str = ""


def moments(recipe: Recipe, place: Place) -> dict[str, Parts]:
    """Each moment of a run → megabytes by what they are for, beside what is in use before it."""
    from ..train.weights import MOST

    train = recipe.train
    trained = numbers(recipe, place.family) * 4 / MB
    held = trained / 2 if _in_bf16(recipe) else trained
    optimizer = {"optimizer": _states(recipe, place.family) * 4 / MB}
    gradients = {"gradients": held}
    first = held if held * MB <= MOST else 0.0
    base = {"base model": 0.0 if place.loaded else whole(place.family) * 4 / MB}
    steady = {
        **base,
        "trained weights": held,
        "copies of what stands still": _still(recipe, place),
        "EMA": trained if train.ema else 0.0,
        "pictures": _pictures(recipe, place),
    }
    # The weights of before the first step wait in the computer's memory until their pictures are drawn.
    waiting = {"first weights": first if place.on_cpu else 0.0}
    step, drawn = _step(recipe, place), {"drawing": _drawn(recipe, place)}
    encoded = {"encoding": _line(place, "encode", _encoded_cells(recipe))}
    late = recipe.dataset.cache == "none" or recipe.dataset.crop == "random"
    shown = {"weights as they are shown": held if train.ema or train.optimizer == "adamw_schedule_free" else 0.0}
    widened = {"weights widened": _largest(recipe, place) if _in_bf16(recipe) else 0.0}
    return {
        "loading": {**base, "file": place.file_mb if place.on_cpu and not place.loaded else 0.0},
        "encoding": {**steady, **waiting, **(optimizer if late else {}), **encoded},
        "first step": {**steady, **waiting, **step},
        "end of the first step": {**steady, **waiting, **gradients, **optimizer, **widened},
        "step": {**steady, **optimizer, **step},
        "end of a step": {**steady, **optimizer, **gradients, **widened},
        "pictures of before": {**steady, **optimizer, **waiting, "weights as they are shown": first, **drawn}
        if first
        else {**steady, **drawn},
        "pictures": {**steady, **optimizer, **shown, **drawn},
        "saving": {
            **steady,
            **optimizer,
            "file": place.file_mb if recipe.method.name in FULL and place.on_cpu else 0.0,
        },
        "reading back": {**base, "pictures": steady["pictures"], "last save": trained, **drawn},
    }


STEPPING = ("first step", "end of the first step", "step", "end of a step")
"""Moments in which a run that steps alone has put aside what it doesn't need."""


def put_aside(recipe: Recipe, place: Place) -> float:
    """Megabytes of a GPU's memory that exclusive mode frees while steps go on; its models are in halves."""
    from ..run.memory_mode import offloadable_parts as parts

    aside = parts(recipe)
    model = _skeleton(facts(place.family))
    modules = [("unet", [model.unet]), ("vae", [model.vae]), ("text encoder", model.text_encoders)]
    sizes = {name: sum(p.numel() for module in held for p in module.parameters()) for name, held in modules}
    return sum(sizes[part] for part in aside) * 2 / MB


def numbers(recipe: Recipe, family: Family) -> int:
    """How many numbers the recipe trains in this model."""
    return sum(numbers_by_part(recipe, family))


def numbers_by_part(recipe: Recipe, family: Family) -> tuple[int, int]:
    """How many of them in the UNet, and how many in what reads."""
    from ..method import lora
    from ..method.sizes import numbers as numbers_of

    method = recipe.method.name
    if method == "hypernetwork":
        return _network_numbers(recipe, family), 0
    if method in FULL:
        return _full_numbers(recipe, family)
    total = [0, _word_numbers(recipe, family) if method in WORDS else 0]
    if method != "textual_inversion":
        for name, shape in _layers(facts(family)):
            size = lora.size(name, shape, recipe.method.lora) if lora.trains(name, recipe) else None
            if size is not None:
                rank = min(size.rank, lora.most_rank(shape))
                count = numbers_of(_layer_kind(recipe), shape, rank, recipe.method.lora.factor)
                total[not name.startswith("unet.")] += count
    return total[0], total[1]


def _layer_kind(recipe: Recipe) -> str:
    return "lora" if recipe.method.name == "pivotal" else recipe.method.name


def _full_shapes(recipe: Recipe, family: Family) -> dict[str, tuple[int, ...]]:
    """Of the model's own weights that train."""
    from ..method.base import MethodError
    from ..method.full import trained_names
    from ..model.copies import parameters

    model = _skeleton(facts(family))
    try:
        wanted = set(trained_names(model, recipe))
    except MethodError:  # the run itself says what is wrong
        return {}
    return {name: tuple(parameter.shape) for name, parameter in parameters(model) if name in wanted}


def _full_numbers(recipe: Recipe, family: Family) -> tuple[int, int]:
    sizes = {name: math.prod(shape) for name, shape in _full_shapes(recipe, family).items()}
    unet = sum(size for name, size in sizes.items() if name.startswith("unet."))
    return unet, sum(sizes.values()) - unet


def _states(recipe: Recipe, family: Family) -> float:
    """How many numbers the optimizer keeps."""
    kind = FACTORED.get(recipe.train.optimizer)
    if kind is None or recipe.method.name not in FULL:
        return numbers(recipe, family) * STATES[recipe.train.optimizer]
    return sum(factored(shape, kind) for shape in _full_shapes(recipe, family).values())


def factored(shape: tuple[int, ...], kind: tuple[float, int]) -> float:
    """How many numbers (of float32's size) one of ``FACTORED`` keeps for a weight."""
    mean, pairs = kind
    squares = pairs * (1 / shape[-1] + 1 / shape[-2]) if len(shape) > 1 else 1
    return math.prod(shape) * (mean + squares)


def _word_numbers(recipe: Recipe, family: Family) -> int:
    named = [word for word in recipe.method.embedding.words if word.strip()]
    words = len(named or [one.trigger for one in recipe.dataset.concepts if one.trigger.strip()])
    return words * recipe.method.embedding.vectors * sum(int(text["hidden_size"]) for text in family.text)


def _network_numbers(recipe: Recipe, family: Family) -> int:
    from ..method.hypernetwork import numbers as numbers_in
    from ..method.hypernetwork import widths
    from ..method.sizes import network_numbers

    settings = recipe.method.hypernetwork
    there = widths(_skeleton(facts(family)))
    try:
        wanted, layers = numbers_in(settings.sizes) or there, numbers_in(settings.layer_structure)
    except ValueError:  # the recipe's own check says what is wrong
        return 0
    return sum(network_numbers(int(width), layers, settings.layer_norm) for width in wanted)


def _still(recipe: Recipe, place: Place) -> float:
    """A module computes in one number format: what stands still beside whole weights that train is copied into theirs."""
    if recipe.method.name not in FULL or (place.on_cpu and not _in_bf16(recipe)):
        return 0.0
    from ..model.copies import parameters

    moving = _full_shapes(recipe, place.family)
    parts = {name.partition(".")[0] for name in moving}
    still = sum(
        value.numel()
        for name, value in parameters(_skeleton(facts(place.family)))
        if name.partition(".")[0] in parts and name not in moving
    )
    return still * (2 if _in_bf16(recipe) else 4) / MB


def _largest(recipe: Recipe, place: Place) -> float:
    """A bfloat16 weight is widened alone: it, its gradient, and three of its size to round it."""
    return max(map(math.prod, _full_shapes(recipe, place.family).values()), default=0) * 4 * 5 / MB


def _pictures(recipe: Recipe, place: Place) -> float:
    """Latents in the computer's memory: four channels of mean and of spread."""
    if recipe.dataset.cache != "memory" or not place.on_cpu:
        return 0.0
    return place.pictures * cells(recipe.dataset.resolution) * 4 * 2 * 4 / MB


def _encoded_cells(recipe: Recipe) -> float:
    side = recipe.dataset.resolution
    count = recipe.train.batch_size if recipe.dataset.cache == "none" else min(max(ENCODED_AT_ONCE // side**2, 1), 4)
    return cells(side) * count


def _drawn(recipe: Recipe, place: Place) -> float:
    side = recipe.watch.size or recipe.dataset.resolution
    prompts = len(recipe.watch.concept_prompts) + len(recipe.watch.bleeding_prompts)
    at_once = min(prompts, max(PIXELS_AT_ONCE // side**2, 1), 16)
    return _line(place, "decode", cells(side) * at_once) if at_once else 0.0


def _step(recipe: Recipe, place: Place) -> Parts:
    """Gradients and intermediate results at the highest moment of a pass forward and back."""
    train, family = recipe.train, place.family
    kind, share, width = _sort(recipe, family)
    case = f"{kind} {_precision(recipe)}"
    figures = _table(place.kind)[f"step {case}{' checkpointing' if train.checkpointing else ''}"]
    batch, size = train.batch_size, cells(recipe.dataset.resolution)
    of_unet, _ = numbers_by_part(recipe, family)
    gradients = of_unet * (2 if _in_bf16(recipe) else 4) / MB
    # Where a GPU computes in the format that the model is held in, its weights aren't copied into another.
    copied = (
        0.0 if place.on_cpu or place.held != train.precision or kind.startswith("full") else _copied(place) * 2 / MB
    )
    more = 1.0 if place.on_cpu else ON_GPU
    passes = bool(train.class_preservation) + bool(train.blank_preservation)
    # Autocast copies float32 weights that train once, for all passes.
    once = kind == "full" and _precision(recipe) == "bf16"
    between = passes * _held(figures["held"], size, batch, width, 0.0 if once else share)
    if recipe.method.reads_anew:
        text = _table(place.kind)[f"text {_text_sort(recipe)} {_precision(recipe)}"]
        between += (1 + passes) * (text["fixed_mb"] + text["caption_mb"] * batch)
    found = []
    for line in figures["moments"]:
        # Gradients of the batches before are there all the time.
        there = gradients * (1.0 if train.accumulation > 1 else line[-1])
        fixed = max(share * line[0] - copied, 0.0)
        step = between + fixed + _held([0.0, *line[1:]], size, batch, width, 1.0)
        found.append({"gradients": there, "training step": step * more})
    return max(found, key=lambda parts: sum(parts.values()))


def _copied(place: Place) -> int:
    """How many numbers autocast copies into its format: the UNet's matrices."""
    return sum(value.numel() for value in _skeleton(facts(place.family)).unet.parameters() if value.ndim > 1)


def _held(line: list[float], size: float, batch: int, width: float, share: float) -> float:
    """Megabytes of a coefficient's line (see ``bench.memory``) for a batch of pictures of so many cells."""
    fixed, cell, picture, wide, both, _ = line
    return share * fixed + wide * width + batch * (picture + (cell + both * width) * size / 1024)


def _sort(recipe: Recipe, family: Family) -> tuple[str, float, float]:
    """What trains in the UNet by the coefficients' name; the share of its weights that do; a LoRA's mean rank, or what a network keeps."""
    method = recipe.method.name
    if method == "textual_inversion" or not recipe.method.unet:
        return "words", 1.0, 0.0
    if method in FULL:
        return "full bf16" if _in_bf16(recipe) else "full", 1.0, 0.0
    if method == "hypernetwork":
        return method, 1.0, _kept_by_networks(recipe)
    from ..method import lora

    kind, layers = _layer_kind(recipe), recipe.method.lora.layers
    whole = ranked = chosen = weighted = 0.0
    for name, shape in _layers(facts(family)):
        if not name.startswith("unet."):
            continue
        whole += math.prod(shape)
        size = lora.size(name, shape, recipe.method.lora) if lora.trains(name, recipe) else None
        if size is not None:
            chosen += math.prod(shape)
            ranked += shape[0] + math.prod(shape[1:])
            weighted += min(size.rank, lora.most_rank(shape)) * (shape[0] + math.prod(shape[1:]))
    if kind != "lora":
        return kind, chosen / max(whole, 1.0), 0.0
    return kind if layers == "all" else f"lora {layers}", 1.0, weighted / max(ranked, 1.0)


def _kept_by_networks(recipe: Recipe) -> float:
    """How many numbers a hypernetwork keeps for its gradients, as multiples of its input's: of (1, 2, 1), 2 between its layers
    and 1 behind."""
    from ..method.hypernetwork import structure_of

    try:
        structure = structure_of(recipe.method.hypernetwork)
    except ValueError:  # the recipe's own check says what is wrong
        return 3.0
    total, last = 1.0, len(structure.layers) - 1
    for number, width in enumerate(structure.layers[1:], start=1):
        behind = number < last or structure.activate_last
        # A ReLU's gradient is read off its answer, which the next layer keeps anyway.
        active = behind and structure.activation not in ("linear", "relu", "leakyrelu")
        mask = 0.25 if structure.dropout[number] else 0.0
        total += width * ((number < last) + active + structure.layer_norm + mask)
    return total


def _text_sort(recipe: Recipe) -> str:
    if recipe.method.name in WORDS and not (recipe.method.name == "pivotal" and recipe.method.text_encoder):
        return "words"
    if recipe.method.name in FULL:
        return "full bf16" if _in_bf16(recipe) else "full"
    return _layer_kind(recipe)


def _in_bf16(recipe: Recipe) -> bool:
    return recipe.method.name in FULL and recipe.method.full.weights == "bf16"


def _precision(recipe: Recipe) -> str:
    return "fp32" if recipe.train.precision == "fp32" and not _in_bf16(recipe) else "bf16"


def cells(side: int) -> float:
    """Cells of the latent picture."""
    return (side / 8) ** 2


def _line(place: Place, what: str, size: float) -> float:
    figures = _table(place.kind)[f"{what} {'fp32' if place.on_cpu else 'fp16'}"]
    return float(figures["fixed_mb"] + figures["cell_kb"] * size / 1024)


def _table(kind: str) -> dict[str, Any]:
    return _tables()["sd1" if kind == "sd2" else kind]  # the same widths


@functools.cache
def _tables() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))
    return found


def facts(family: Family) -> str:
    """The family's sizes, as a key."""
    return json.dumps([family.name, family.unet, family.vae, family.text])


@functools.lru_cache(maxsize=8)
def _skeleton(of: str) -> Any:
    """A model of these sizes without memory."""
    from ..formats.family import Family
    from ..model.base import Model
    from ..model.borrow import skeletons

    name, unet, vae, text = json.loads(of)
    family = Family(name, "epsilon", False, _tuples(unet), _tuples(vae), tuple(text), (1,) * len(text), 1.0)
    parts = skeletons(family)
    return Model(family, parts[0], parts[1], parts[2:], [], None)  # type: ignore[arg-type]


@functools.lru_cache(maxsize=8)
def _layers(of: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Name and weight shape of every layer that an adapter can stand beside."""
    from ..method.adapters import weight_shape, wrappable

    return tuple((name, weight_shape(module)) for name, module in wrappable(_skeleton(of)))


def whole(family: Family) -> int:
    """How many numbers the model has."""
    model = _skeleton(facts(family))
    return sum(parameter.numel() for module in model.modules for parameter in module.parameters())


def _tuples(config: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that diffusers expects."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
