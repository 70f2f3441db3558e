"""The rules of a recipe: a walk over its settings, their types and ranges, and which settings must fit together."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import reprlib
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from .field import RecipeError
from .method import LORA_PLUS
from .method_info import ADAPTERS, FULL, IN_PARTS, WORDS
from .recipe import VERSION, Recipe

FINDS_ITS_OWN_RATE = ("prodigy", "dadaptadam")
"""Optimizers whose learning rate is a factor near 1, not a step size."""
TOGETHER = (*FINDS_ITS_OWN_RATE, "adamw_schedule_free")
"""Optimizers whose step for one parameter depends on the others."""
HIGHEST_RATE = 1.0
"""Learning rate above which the other optimizers break any model within a step or two."""
_NOT_IN_FILE_NAMES = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')
_SURROGATE = re.compile("[\ud800-\udfff]")
MAX_PATH, MAX_PART = 4_096, 255
"""Characters of a path, and of one name in it."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


class Setting(NamedTuple):
    """One setting of a recipe: its path, its dataclass field, its type, and its value."""

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
        """Return the methods that use it; empty: all."""
        return tuple(self.field.metadata["methods"])

    @property
    def allowed(self) -> str:
        """Describe the allowed values, e.g. "a whole number from 1 to 1024"."""
        return allowed(self.type, self.low, self.high)


@functools.cache
def types(section: type) -> dict[str, Any]:
    """Return a section's field names and their types, in order."""
    hints = typing.get_type_hints(section)
    return {field.name: hints[field.name] for field in dataclasses.fields(section)}


def fields(of: Any = Recipe, prefix: str = "") -> Iterator[Setting]:
    """Yield every setting of a recipe, or of a section, in the file's order; of a class, with its defaults.

    The walk enters sections and lists of sections (``dataset.concepts.0.trigger``). A list of texts or a mapping is one
    setting.
    """
    value = of() if isinstance(of, type) else of
    section: Any = type(value)
    hints = types(section)
    for field in dataclasses.fields(value):
        path, content = f"{prefix}{field.name}", getattr(value, field.name)
        if dataclasses.is_dataclass(content):
            yield from fields(content, path + ".")
        elif section_in_list(hints[field.name]) is not None and isinstance(content, list):
            for number, item in enumerate(content):
                yield from fields(item, f"{path}.{number}.")
        else:
            yield Setting(path, field, hints[field.name], content)


def section_in_list(hint: Any) -> Any:
    """Return the section class of ``list[Section]``; None for any other type."""
    arguments = typing.get_args(hint)
    return arguments[0] if typing.get_origin(hint) is list and dataclasses.is_dataclass(arguments[0]) else None


def choices(hint: Any) -> tuple[str, ...]:
    """Return what a Literal allows; empty for any other type."""
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()


def allowed(hint: Any, low: float | None = None, high: float | None = None) -> str:
    """Describe the values that a setting of this type may have."""
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
    """Raise RecipeError, one sentence, for the first value of a wrong type or range, or settings that don't fit."""
    for problem in problems(recipe):
        raise RecipeError(problem)


def problems(recipe: Recipe) -> Iterator[str]:
    """Yield everything that keeps a recipe from being used, each a sentence that begins with the setting."""
    if not isinstance(recipe.dataset.concepts, list) or not recipe.dataset.concepts:
        yield "dataset.concepts is empty: name at least one concept with its folder of pictures."
        return
    wrong = [problem for setting in fields(recipe) if (problem := value_problem(setting))]
    yield from wrong
    if not wrong:  # rules between settings rely on each being valid by itself
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


def value_problem(setting: Setting) -> str | None:
    """Return a sentence about what is wrong with one value; None where it is valid."""
    value, path = setting.value, setting.path
    if not _has_type(value, setting.type):
        return f"{path} is {reprlib.repr(value)}, but must be {setting.allowed}."
    if setting.type is float and not math.isfinite(value):
        return f"{path} is {value!r}, but must be a finite number{_range(setting.low, setting.high)}."
    if setting.type in (int, float):
        too_low = setting.low is not None and value < setting.low
        if too_low or (setting.high is not None and value > setting.high):
            return f"{path} is {value!r}, which is out of range: write {setting.allowed}."
    if setting.is_path and "\0" in value:
        return f"{path} is {reprlib.repr(value)}: a path can't contain a NUL character."
    if setting.is_path and (len(value) > MAX_PATH or any(len(part) > MAX_PART for part in re.split(r"[/\\]", value))):
        return f"{path} is {reprlib.repr(value)}, which is longer than any path: correct it."
    return None


def check_texts(recipe: Recipe) -> None:
    """Raise RecipeError for a text with half a pair of surrogates, which no saved file can hold."""
    for setting in fields(recipe):
        if not setting.is_path and any(_SURROGATE.search(text) for text in _texts(setting.value)):
            raise RecipeError(
                f"{setting.path} is {reprlib.repr(setting.value)}, which has half a pair of surrogates: no saved file "
                "can hold it; remove it."
            )


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts of a setting: itself, or a list's and a mapping's."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in (*value, *(value.values() if isinstance(value, dict) else ())):
            yield from _texts(item)


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
        yield f"version is {recipe.version}, but this sdft reads and writes version {VERSION}."


def _order(recipe: Recipe) -> Iterator[str]:
    train, dataset = recipe.train, recipe.dataset
    if train.timestep_min > train.timestep_max:
        yield (
            f"train.timestep_min is {train.timestep_min} and train.timestep_max {train.timestep_max}: "
            "the first must not be higher than the last."
        )
    if dataset.buckets and dataset.bucket_min > dataset.bucket_max:
        yield (
            f"dataset.bucket_min is {dataset.bucket_min} and dataset.bucket_max {dataset.bucket_max}: "
            "the smallest side must not exceed the largest."
        )


def _something_trains(recipe: Recipe) -> Iterator[str]:
    train, method = recipe.train, recipe.method
    chooses_parts = method.name in IN_PARTS
    if method.name == "textual_inversion" and train.learning_rate > 0 and train.text_encoder_stop < 1:
        yield (
            f"train.text_encoder_stop is {train.text_encoder_stop:g}, but only words are trained: after it, nothing "
            "would be trained; set it to 1 and make train.length shorter."
        )
    if chooses_parts and not method.unet and not method.text_encoder:
        yield "method.unet and method.text_encoder are both false: nothing would be trained; set one to true."
    unet = (method.unet or not chooses_parts) and train.learning_rate > 0
    text_rate = train.text_encoder_learning_rate or train.learning_rate
    if not unet and not (chooses_parts and method.text_encoder and text_rate > 0 and train.text_encoder_stop > 0):
        yield (
            "train.learning_rate is 0: nothing would be learned; 1e-4 is usual for a LoRA."
            if train.learning_rate == 0
            else "train.text_encoder_stop is 0 and method.unet is false: nothing would be trained."
        )
    elif not unet and train.text_encoder_stop < 1:
        yield (
            f"train.text_encoder_stop is {train.text_encoder_stop:g}, but only the text encoder is trained: after it, "
            "nothing would be trained; set it to 1 and make train.length shorter."
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
                    "and 1 is the highest allowed."
                )
    if train.optimizer == "prodigy" and words_rate not in (0, train.learning_rate):
        yield (
            f"method.embedding.learning_rate is {words_rate:g}, but prodigy trains all parameters at one rate: set it "
            "to 0 (the same as train.learning_rate), or choose dadaptadam or adamw."
        )
    if train.optimizer == "prodigy" and method.lora.up_ratio != 1 and method.name in LORA_PLUS:
        yield (
            f"method.lora.up_ratio is {method.lora.up_ratio:g}, but prodigy trains all parameters at one rate: set it "
            "to 1, or train.optimizer to adamw."
        )
    if train.schedule == "steps" and not train.schedule_steps.strip():
        yield "train.schedule is steps, but train.schedule_steps is empty: write for example 5e-4:200, 1e-4."


def not_a_file_name(name: str) -> str:
    """Say why a text can't be a file's name (without extension) on every system, to follow "The name"; else empty."""
    if not name or name != name.strip(" .") or _NOT_IN_FILE_NAMES.search(name) or _RESERVED.fullmatch(name):
        return (
            f"is {reprlib.repr(name)}, which isn't a file name on every system: use letters, digits, spaces, - and _, "
            'none of / \\ : * ? " < > |, and no dot or space at either end.'
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
        yield f"watch.size is {size}, but a picture's side must be a multiple of 8: write {size // 8 * 8 or 8}."
    for name, rank in recipe.method.lora.block_ranks.items():
        if not 0 <= rank <= 1024:
            yield f"method.lora.block_ranks.{name} is {rank}, which is out of range: write 0 to 1024."


def _preservation(recipe: Recipe) -> Iterator[str]:
    """Check that the base model's own answer can be computed: the trained weights must be separate from it."""
    for name in ("class_preservation", "blank_preservation"):
        if getattr(recipe.train, name) and recipe.method.name not in ADAPTERS:
            yield (
                f"train.{name} is {getattr(recipe.train, name):g}, but with method.name={recipe.method.name} there is "
                f"no base model's answer to preserve: set it to 0, or set method.name to {any_of(ADAPTERS)}."
            )
    if recipe.train.class_preservation and not any(concept.trigger.strip() for concept in recipe.dataset.concepts):
        yield (
            "train.class_preservation needs a trigger that it can replace by the class word, but no concept has one: "
            "set dataset.concepts.0.trigger, or use train.blank_preservation."
        )


def any_of(names: Sequence[str]) -> str:
    """Write 'a, b or c'."""
    return " or ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def _words(recipe: Recipe) -> Iterator[str]:
    if recipe.method.name not in WORDS or any(word.strip() for word in recipe.method.embedding.words):
        return
    if not any(concept.trigger.strip() for concept in recipe.dataset.concepts):
        yield (
            f"dataset.concepts.0.trigger is empty, but there must be a word to train with method.name="
            f"{recipe.method.name}: choose one, or name words in method.embedding.words."
        )


def _networks(recipe: Recipe) -> Iterator[str]:
    """Check that the hypernetwork's texts are numbers that fit together."""
    if recipe.method.name != "hypernetwork":
        return
    settings, found = recipe.method.hypernetwork, {}
    for name in ("sizes", "layer_structure", "dropout"):
        text = getattr(settings, name)
        try:
            found[name] = [float(part) for part in text.split(",") if part.strip()]
        except ValueError:
            yield f"method.hypernetwork.{name} is {text!r}, but must be numbers separated by commas, e.g. 1, 2, 1."
            return
    layers, dropout = found["layer_structure"], found["dropout"]
    if len(layers) < 2 or layers[0] != 1 or layers[-1] != 1 or not all(0 < layer <= 64 for layer in layers):
        yield (
            f"method.hypernetwork.layer_structure is {settings.layer_structure!r}, but must begin and end with 1, "
            "with numbers up to 64 between, e.g. 1, 2, 1."
        )
    fits = len(dropout) == len(layers) and dropout[0] == dropout[-1] == 0 if dropout else True
    if not fits or not all(0 <= share < 1 for share in dropout):
        yield (
            f"method.hypernetwork.dropout is {settings.dropout!r}, but must be empty or {len(layers)} numbers below 1, "
            "as many as the layer structure has, the first and the last 0."
        )


def _rounding(recipe: Recipe) -> Iterator[str]:
    """Check that bfloat16 weights can be updated: one by one, in float32."""
    if recipe.method.name not in FULL or recipe.method.full.weights != "bf16":
        return
    if recipe.train.precision != "bf16":
        yield f"method.full.weights is bf16, but train.precision is {recipe.train.precision}: set both to bf16."
    if recipe.train.optimizer in TOGETHER:
        yield (
            f"method.full.weights is bf16, but {recipe.train.optimizer} needs all weights together: choose adamw, "
            "adafactor or another optimizer."
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
