"""Optimizers by the recipe's name: torch's AdamW, our D-Adaptation, pytorch-optimizer's others, and bitsandbytes' 8-bit
AdamW where it is installed.

None of them changes a parameter without a gradient, not even by weight decay: so a text encoder that has stopped
training stays bit for bit what it was.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ..method.base import ParameterGroup
from ..recipe import OptimizerName, RecipeError, TrainRecipe
from .dadapt import DAdaptAdam

LIBRARY = {
    "lion": "Lion",
    "prodigy": "Prodigy",
    "adafactor": "AdaFactor",
    "came": "CAME",
    "adamw_schedule_free": "ScheduleFreeAdamW",
}
"""Names of classes in pytorch-optimizer."""
DEFAULTS: dict[str, dict[str, Any]] = {
    # Without these, AdaFactor finds its own rate and ignores the recipe's.
    "adafactor": {"relative_step": False, "scale_parameter": False, "warmup_init": False},
    "prodigy": {"weight_decouple": True},
    "lion": {"weight_decouple": True},
    "came": {"weight_decouple": True},
}


NOT_OPTIONS = ("self", "params", "lr", "weight_decay", "kwargs")
"""Arguments of an optimizer's class that have a setting of their own, or are none."""


def build(groups: Sequence[ParameterGroup], train: TrainRecipe) -> torch.optim.Optimizer:
    """Make the recipe's optimizer over the method's groups, in their order, ready to train.

    Raises RecipeError for an option that it doesn't have or accept, for several learning rates where it has only one,
    and where its package is missing.
    """
    others = [group.name for group in groups if group.learning_rate != train.learning_rate]
    if train.optimizer == "prodigy" and len({group.learning_rate for group in groups}) > 1:
        words = others and all(name == "text_encoder_words" for name in others)
        setting = "method.embedding.learning_rate" if words else "train.text_encoder_learning_rate"
        raise RecipeError(
            f"{setting}: prodigy has one learning rate for all parameters; set this to 0 (the same as "
            f"train.learning_rate), or "
            "choose dadaptadam or adamw."
        )
    kind = optimizer_class(train.optimizer)
    options = {**DEFAULTS.get(train.optimizer, {}), "weight_decay": train.weight_decay}
    options |= parse_options(train.optimizer_options, kind)
    if train.optimizer == "adamw" and not {"fused", "foreach"} & options.keys():
        options["fused"] = fused_works(groups)
    settings = [{"params": group.parameters, "lr": group.learning_rate} for group in groups]
    try:
        # Some optimizers refuse a learning rate of 0 at first; the loop sets the rate before each step.
        optimizer: torch.optim.Optimizer = kind(settings, lr=train.learning_rate or 1e-8, **options)
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        raise RecipeError(f"train.optimizer_options: {kind.__name__} can't work with these: {error}.") from error
    if train.optimizer == "adamw_schedule_free":
        _mode(optimizer, "train")
    return optimizer


def optimizer_class(name: OptimizerName) -> Any:
    """Find the class of a named optimizer. Raises RecipeError with the command that installs a missing package."""
    if name == "adamw":
        return torch.optim.AdamW
    if name == "dadaptadam":
        return DAdaptAdam
    package = "bitsandbytes" if name == "adamw8bit" else "pytorch_optimizer"
    try:
        library = importlib.import_module(package)
    except ImportError as error:
        command = f"{sys.executable} -m pip install {package.replace('_', '-')}"
        raise RecipeError(
            f"train.optimizer: {name} needs the package {package}: {command}, or choose adamw."
        ) from error
    if name == "adafactor":
        from .adafactor import AdaFactor

        return AdaFactor
    return library.optim.AdamW8bit if name == "adamw8bit" else getattr(library, LIBRARY[name])


def parse_options(options: Mapping[str, str], kind: Any) -> dict[str, Any]:
    """Parse options from text, typed by the arguments of the optimizer's class: '1e-7', 'true', '0.9, 0.99', 'none'.

    Raises RecipeError for an option that the class doesn't have (naming the nearest one), and for a wrong value.
    """
    arguments = {
        name: argument
        for name, argument in inspect.signature(kind.__init__).parameters.items()
        if name not in NOT_OPTIONS and _typed_by_text(argument.default)
    }
    result: dict[str, Any] = {}
    for name, text in options.items():
        if name in ("lr", "weight_decay"):
            setting = {"lr": "learning_rate"}.get(name, name)
            raise RecipeError(f"train.optimizer_options.{name}: set train.{setting} instead.")
        if name not in arguments:
            near = difflib.get_close_matches(name, arguments, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(arguments)}."
            raise RecipeError(f"train.optimizer_options.{name}: {kind.__name__} has no such option; {hint}")
        value, default = _value(text), arguments[name].default
        if not _fits(value, default):
            raise RecipeError(f"train.optimizer_options.{name} is {text!r}, but must be {_wanted(default)}.")
        result[name] = float(value) if type(default) is float else value
    return result


def fused_works(groups: Sequence[ParameterGroup]) -> bool:
    """Tell whether torch's fused AdamW runs on these parameters' device (on the CPU since torch 2.4)."""
    kinds = {parameter.device.type for group in groups for parameter in group.parameters}
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    return kinds == {"cuda"} or (kinds == {"cpu"} and version >= (2, 4))


@contextmanager
def evaluation_weights(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Give the parameters, inside the block, the weights to evaluate with: schedule-free's mean (Defazio 2024).

    After it, they are bit for bit what they were. Other optimizers' weights are used as they are.
    """
    if not optimizer.param_groups[0].get("train_mode"):
        yield
        return
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    kept = [p.detach().clone() for p in parameters]
    _mode(optimizer, "eval")
    try:
        yield
    finally:
        _mode(optimizer, "train")
        # Switching there and back rounds: the training weights are put back exactly.
        with torch.no_grad():
            for parameter, value in zip(parameters, kept, strict=True):
                parameter.copy_(value)


def _mode(optimizer: Any, name: str) -> None:
    getattr(optimizer, name)()


def _value(text: str) -> Any:
    """Parse a text as yes/no, None, a number, or a tuple of numbers; give it back as it is where it is none of
    these.
    """
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "none": None}
    plain = text.strip().lower()
    if plain in words:
        return words[plain]
    try:
        numbers = tuple(_number(part) for part in plain.strip("()[]").rstrip(", ").split(","))
    except ValueError:
        return text
    return numbers if len(numbers) > 1 else numbers[0]


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _typed_by_text(default: Any) -> bool:
    """Tell whether an argument with this default can be written in a recipe (a torch.dtype can't)."""
    return default is None or isinstance(default, bool | int | float | tuple)


def _fits(value: Any, default: Any) -> bool:
    if default is None:
        return not isinstance(value, str)
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, tuple):
        return isinstance(value, tuple) and len(value) == len(default)
    if isinstance(value, bool):
        return False
    return isinstance(value, int if isinstance(default, int) else int | float)


def _wanted(default: Any) -> str:
    if default is None:
        return "a number, yes or no, or none"
    if isinstance(default, bool):
        return "yes or no"
    if isinstance(default, tuple):
        return f"{len(default)} numbers such as '{', '.join(map(str, default))}'"
    return f"a {'whole ' if isinstance(default, int) else ''}number such as {default}"
