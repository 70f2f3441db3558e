"""What a recipe may hold: a walk over its settings, their types and ranges, and what must fit together."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import typing
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from .field import RecipeError
from .method import ADAPTERS, FULL, WORDS
from .recipe import VERSION, Recipe

FINDS_ITS_OWN_RATE = ("prodigy", "dadaptadam")
"""Optimizers whose learning rate is a factor near 1, not a step size."""
TOGETHER = (*FINDS_ITS_OWN_RATE, "adamw_schedule_free")
"""Optimizers whose step isn't one parameter's affair."""
HIGHEST_RATE = 1.0
"""Learning rate above which the other optimizers break any model within a step or two."""
_NOT_IN_FILE_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


class Setting(NamedTuple):
    """One setting of a recipe: where it stands, its dataclass field, its type, and its value."""

    path: str
    field: dataclasses.Field[Any]
    type: Any
    value: Any

    @property
    def label(self) -> str:
        return str(self.field.metadata["label"])

    @property
    def help(self) -> str:
        return str(self.field.metadata["help"])

    @property
    def low(self) -> float | None:
        return self.field.metadata["low"]

    @property
    def high(self) -> float | None:
        return self.field.metadata["high"]

    @property
    def is_path(self) -> bool:
        return bool(self.field.metadata["path"])

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that use it; empty: all."""
        return tuple(self.field.metadata["methods"])

    @property
    def allowed(self) -> str:
        """In words what may stand here: "a whole number from 1 to 1024"."""
        return allowed(self.type, self.low, self.high)


@functools.cache
def types(section: type) -> dict[str, Any]:
    """Field names of a section and their types, in order."""
    hints = typing.get_type_hints(section)
    return {field.name: hints[field.name] for field in dataclasses.fields(section)}


def fields(of: Any = Recipe, prefix: str = "") -> Iterator[Setting]:
    """Every setting below a recipe (or a section of one), in the order of the file; of a class, with its defaults.

    Sections are walked into, and so are lists of sections (``dataset.concepts.0.trigger``). Lists of text and mappings
    are one setting.
    """
    value = of() if isinstance(of, type) else of
    section: Any = type(value)
    hints = types(section)
    for field in dataclasses.fields(value):
        path, held = f"{prefix}{field.name}", getattr(value, field.name)
        if dataclasses.is_dataclass(held):
            yield from fields(held, path + ".")
        elif section_in_list(hints[field.name]) is not None and isinstance(held, list):
            for number, item in enumerate(held):
                yield from fields(item, f"{path}.{number}.")
        else:
            yield Setting(path, field, hints[field.name], held)


def section_in_list(hint: Any) -> Any:
    """The section class of ``list[Section]``; None for any other type."""
    arguments = typing.get_args(hint)
    return arguments[0] if typing.get_origin(hint) is list and dataclasses.is_dataclass(arguments[0]) else None


def choices(hint: Any) -> tuple[str, ...]:
    """What a Literal allows; empty for any other type."""
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()


def allowed(hint: Any, low: float | None = None, high: float | None = None) -> str:
    """In words what a setting of this type may hold."""
    if choices(hint):
        return "one of " + ", ".join(choices(hint))
    if hint is bool:
        return "true or false"
    if hint in (int, float):
        return ("a whole number" if hint is int else "a number") + _range(low, high)
    if typing.get_origin(hint) is list:
        return "a list of texts" if typing.get_args(hint) == (str,) else "a list of sections"
    if typing.get_origin(hint) is dict:
        return "names with whole numbers" if typing.get_args(hint)[1] is int else "names with texts"
    return "text"


def validate(recipe: Recipe) -> None:
    """Raises RecipeError, one sentence, where a value has the wrong type or lies outside its range, or two don't
    fit.
    """
    for problem in problems(recipe):
        raise RecipeError(problem)


def problems(recipe: Recipe) -> Iterator[str]:
    """Everything that keeps a recipe from being used, a sentence each that begins with the setting."""
    if not isinstance(recipe.dataset.concepts, list) or not recipe.dataset.concepts:
        yield "dataset.concepts is empty: name at least one concept with its folder of pictures."
        return
    wrong = [problem for setting in fields(recipe) if (problem := _value_problem(setting))]
    yield from wrong
    if not wrong:  # rules between settings count on each being right in itself
        for rule in _RULES:
            yield from rule(recipe)


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    if low is not None:
        return f", at least {_number(low)}"
    return "" if high is None else f", at most {_number(high)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**63 else repr(value)


def _value_problem(setting: Setting) -> str | None:
    """What is wrong with one value, as a sentence."""
    value, path = setting.value, setting.path
    if not _has_type(value, setting.type):
        return f"{path} is {value!r}, but must be {setting.allowed}."
    if setting.type is float and not math.isfinite(value):
        return f"{path} is {value!r}, but must be a finite number{_range(setting.low, setting.high)}."
    if setting.type in (int, float):
        too_low = setting.low is not None and value < setting.low
        if too_low or (setting.high is not None and value > setting.high):
            return f"{path} is {value!r}, which is out of range: write {setting.allowed}."
    if setting.is_path and "\0" in value:
        return f"{path} is {value!r}: a path can't hold a zero character."
    return None


def _has_type(value: Any, hint: Any) -> bool:
    if choices(hint):
        return value in choices(hint)
    if hint in (int, float):
        return isinstance(value, int | hint) and not isinstance(value, bool)
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return isinstance(value, list) and all(_has_type(one, item) for one in value)
    if typing.get_origin(hint) is dict:
        key, item = typing.get_args(hint)
        return isinstance(value, dict) and all(_has_type(k, key) and _has_type(v, item) for k, v in value.items())
    return isinstance(value, hint)


def _version(recipe: Recipe) -> Iterator[str]:
    if recipe.version != VERSION:
        yield f"version is {recipe.version}, but this program writes and reads version {VERSION}."


def _order(recipe: Recipe) -> Iterator[str]:
    train, dataset = recipe.train, recipe.dataset
    if train.timestep_min > train.timestep_max:
        yield (
            f"train.timestep_min is {train.timestep_min} and train.timestep_max {train.timestep_max}: "
            "the first must not lie after the last."
        )
    if dataset.buckets and dataset.bucket_min > dataset.bucket_max:
        yield (
            f"dataset.bucket_min is {dataset.bucket_min} and dataset.bucket_max {dataset.bucket_max}: "
            "the smallest side must not exceed the largest."
        )


def _something_trains(recipe: Recipe) -> Iterator[str]:
    train, method = recipe.train, recipe.method
    apart = method.name not in ("textual_inversion", "hypernetwork")
    if method.name == "textual_inversion" and train.learning_rate > 0 and train.text_encoder_stop < 1:
        yield (
            f"train.text_encoder_stop is {train.text_encoder_stop:g} and nothing but words trains: nothing would be "
            f"trained "
            "after it; set it to 1 and make train.length shorter."
        )
    if apart and not method.unet and not method.text_encoder:
        yield "method.unet and method.text_encoder are both false: nothing would be trained; set one to true."
    unet = (method.unet or not apart) and train.learning_rate > 0
    text_rate = train.text_encoder_learning_rate or train.learning_rate
    if not unet and not (apart and method.text_encoder and text_rate > 0 and train.text_encoder_stop > 0):
        yield (
            "train.learning_rate is 0: nothing would be learned; 1e-4 is usual for a LoRA."
            if train.learning_rate == 0
            else "train.text_encoder_stop is 0 and method.unet is false: nothing would be trained."
        )
    elif not unet and train.text_encoder_stop < 1:
        yield (
            f"train.text_encoder_stop is {train.text_encoder_stop:g} and nothing but the text encoder trains: "
            f"nothing would "
            "be trained after it; set it to 1 and make train.length shorter."
        )
    words_rate = method.embedding.learning_rate if method.name == "pivotal" else 0.0
    if train.optimizer not in FINDS_ITS_OWN_RATE:
        rates = {
            "train.learning_rate": train.learning_rate,
            "train.text_encoder_learning_rate": train.text_encoder_learning_rate,
            "method.embedding.learning_rate": words_rate,
        }
        for path, rate in rates.items():
            if rate > HIGHEST_RATE:
                yield (
                    f"{path} is {rate:g}, which breaks any model with {train.optimizer}: 1e-4 is usual for a LoRA, "
                    f"and 1 is "
                    "the most that is accepted."
                )
    if train.optimizer == "prodigy" and words_rate not in (0, train.learning_rate):
        yield (
            f"method.embedding.learning_rate is {words_rate:g}, but prodigy moves all parameters at one rate: set it "
            f"to 0 (the "
            "same as train.learning_rate), or choose dadaptadam or adamw."
        )
    if train.optimizer == "prodigy" and method.lora.up_ratio != 1 and method.name in ("lora", "dora", "pivotal"):
        yield (
            f"method.lora.up_ratio is {method.lora.up_ratio:g}, but prodigy moves all parameters at one rate: set it "
            f"to 1, or "
            "train.optimizer to adamw."
        )
    if train.schedule == "steps" and not train.schedule_steps.strip():
        yield "train.schedule is steps, but train.schedule_steps is empty: write for example 5e-4:200, 1e-4."


def not_a_file_name(name: str) -> str:
    """What keeps a text from being a file's name, without its ending, everywhere: what follows "The name"; or empty."""
    if not name or name != name.strip(" .") or _NOT_IN_FILE_NAMES.search(name) or _RESERVED.fullmatch(name):
        return (
            f"is {name!r}, which can't be a file name everywhere: use letters, digits, spaces, - and _, "
            'with none of / \\ : * ? " < > | and no dot or space at its ends.'
        )
    if len(name.encode("utf-8", "surrogatepass")) > 150:
        return f"has {len(name)} characters, too many for a file name: use at most 50."
    return ""


def _file_name(recipe: Recipe) -> Iterator[str]:
    if wrong := not_a_file_name(recipe.save.name):
        yield f"save.name {wrong}"


def _sizes(recipe: Recipe) -> Iterator[str]:
    size = recipe.watch.size
    if size % 8:
        yield f"watch.size is {size}, but pictures have sides in multiples of 8: write {size // 8 * 8 or 8}."
    for name, rank in recipe.method.lora.block_ranks.items():
        if not 0 <= rank <= 1024:
            yield f"method.lora.block_ranks.{name} is {rank}, which is out of range: write 0 to 1024."


def _preservation(recipe: Recipe) -> Iterator[str]:
    """The base's answer is there to be kept only beside what can be taken out."""
    for name in ("class_preservation", "blank_preservation"):
        if getattr(recipe.train, name) and recipe.method.name not in ADAPTERS:
            yield (
                f"train.{name} is {getattr(recipe.train, name):g}, but method.name={recipe.method.name} has no base "
                f"beside it "
                f"whose answer it could keep: set it to 0, or choose one of {', '.join(ADAPTERS)}."
            )
    if recipe.train.class_preservation and not any(concept.trigger.strip() for concept in recipe.dataset.concepts):
        yield (
            "train.class_preservation holds captions without their trigger, but no concept has one: set "
            "dataset.concepts.0.trigger, or use train.blank_preservation."
        )


def _words(recipe: Recipe) -> Iterator[str]:
    if recipe.method.name not in WORDS or any(word.strip() for word in recipe.method.embedding.words):
        return
    if not any(concept.trigger.strip() for concept in recipe.dataset.concepts):
        yield (
            f"method.name is {recipe.method.name}, but there is no word to train: set dataset.concepts.0.trigger, or "
            f"name words "
            "in method.embedding.words."
        )


def _networks(recipe: Recipe) -> Iterator[str]:
    """The hypernetwork's texts hold numbers that fit together."""
    if recipe.method.name != "hypernetwork":
        return
    settings, found = recipe.method.hypernetwork, {}
    for name in ("sizes", "layer_structure", "dropout"):
        text = getattr(settings, name)
        try:
            found[name] = [float(part) for part in text.split(",") if part.strip()]
        except ValueError:
            yield f"method.hypernetwork.{name} is {text!r}, but must be numbers with commas between them, e.g. 1, 2, 1."
            return
    layers, dropout = found["layer_structure"], found["dropout"]
    if len(layers) < 2 or layers[0] != 1 or layers[-1] != 1 or not all(0 < layer <= 64 for layer in layers):
        yield (
            f"method.hypernetwork.layer_structure is {settings.layer_structure!r}, but must begin and end with 1, "
            f"with numbers up "
            "to 64 between, e.g. 1, 2, 1."
        )
    fits = len(dropout) == len(layers) and dropout[0] == dropout[-1] == 0 if dropout else True
    if not fits or not all(0 <= share < 1 for share in dropout):
        yield (
            f"method.hypernetwork.dropout is {settings.dropout!r}, but must have {len(layers)} numbers, as many as "
            f"the layer "
            "structure, below 1, the first and the last 0; or be empty."
        )


def _rounding(recipe: Recipe) -> Iterator[str]:
    """Weights in bfloat16 are moved one by one, in float32."""
    if recipe.method.name not in FULL or recipe.method.full.weights != "bf16":
        return
    if recipe.train.precision != "bf16":
        yield f"method.full.weights is bf16, but train.precision is {recipe.train.precision}: set both to bf16."
    if recipe.train.optimizer in TOGETHER:
        yield (
            f"method.full.weights is bf16, but {recipe.train.optimizer} looks at all weights together: choose adamw, "
            f"adafactor or "
            "another optimizer."
        )


_RULES: tuple[Callable[[Recipe], Iterator[str]], ...] = (
    _version,
    _order,
    _something_trains,
    _preservation,
    _words,
    _networks,
    _rounding,
    _file_name,
    _sizes,
)
