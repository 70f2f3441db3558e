"""Toy worlds as data: what a world has, read from a file in ``worlds`` or from any other."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from ..errors import SdftError
from ..storage import atomic
from .pictures import RGB
from .shapes import SHAPES
from .styles import STYLES

FOLDER = Path(__file__).resolve().parent / "worlds"
SHIPPED = "toy"
WORLD_FILE = "world.yaml"
"""What the file is called in a folder with a world's model."""


class WorldError(SdftError, ValueError):
    """A world can't be used; the message names the file, what is wrong, and what to do."""


@dataclass(frozen=True)
class Captions:
    """Templates of captions, with ``{colour}``, ``{shape}`` and ``{background}``."""

    whole: str
    without_background: str
    without_colour: str
    shape_only: str


@dataclass(frozen=True)
class Subject:
    """The concept of the kind subject: a shape that the base never sees. ``colours``: those of the example."""

    shape: str
    trigger: str
    colours: tuple[str, ...]


@dataclass(frozen=True)
class Style:
    """The concept of the kind style: a shading that the base never sees. ``colours``: those of the example."""

    name: str
    trigger: str
    colours: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """A subject that the base can draw, but has no such word as the trigger for."""

    shape: str
    colour: str


@dataclass(frozen=True, eq=False)
class World:
    """A world: what its base model knows by name, its captions, and the two concepts that are new to the base."""

    name: str
    shapes: tuple[str, ...]
    colours: Mapping[str, RGB]
    backgrounds: Mapping[str, RGB]
    class_word: str
    """The word that stands for any shape: the class of DreamBooth-like training."""
    captions: Captions
    subject: Subject
    style: Style
    known: Known

    @property
    def all_shapes(self) -> tuple[str, ...]:
        """Return the known shapes and the subject's."""
        return (*self.shapes, self.subject.shape)

    @property
    def subject_phrase(self) -> str:
        """Return how captions call the subject: by the trigger and the class word."""
        return f"{self.subject.trigger} {self.class_word}"

    def caption(self, noun: str, colour: str, background: str) -> str:
        """Return the caption of a noun (a shape's name, the class word, the subject's phrase) in a colour."""
        return self.captions.whole.format(shape=noun, colour=colour, background=background)

    def in_style(self, caption: str) -> str:
        """Return the caption with the style's trigger."""
        return f"{caption} {self.style.trigger}"


def names() -> list[str]:
    """List the worlds that have a file in ``worlds``."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@lru_cache
def load(name: str) -> World:
    """Read a world by name, or from a file of its own (a path that ends in ``.yaml``).

    Raises WorldError where there is none, or what it says doesn't go together.
    """
    path = Path(name) if name.endswith(".yaml") else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise WorldError(f"There is no world {name!r}: choose {', '.join(names())}, or a file that ends in .yaml.")
    try:
        world = _world(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise WorldError(f"{path}: {reason}. Compare it with {FOLDER / SHIPPED}.yaml.") from error
    for problem in _problems(world):
        raise WorldError(f"{path}: {problem}.")
    return world


def save(world: World, path: Path) -> None:
    """Write a world to a file, from which ``load`` reads the same world."""
    data = dataclasses.asdict(world)
    atomic.text(path, yaml.safe_dump(_lists(data), sort_keys=False))


def _lists(value: Any) -> Any:
    """Replace the tuples in nested mappings by lists, which YAML has."""
    if isinstance(value, Mapping):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _world(name: str, data: dict[str, Any]) -> World:
    subject, style = data["subject"], data["style"]
    return World(
        data.get("name", name),
        tuple(data["shapes"]),
        {word: _rgb(values) for word, values in data["colours"].items()},
        {word: _rgb(values) for word, values in data["backgrounds"].items()},
        data["class_word"],
        Captions(**data["captions"]),
        Subject(subject["shape"], subject["trigger"], tuple(subject["colours"])),
        Style(style["name"], style["trigger"], tuple(style["colours"])),
        Known(**data["known"]),
    )


def _rgb(values: Any) -> RGB:
    red, green, blue = values
    if not all(isinstance(value, int) and 0 <= value <= 255 for value in (red, green, blue)):
        raise ValueError(f"{values} is no colour: it needs three whole numbers from 0 to 255")
    return red, green, blue


def _problems(world: World) -> list[str]:
    """List what doesn't go together, in sentences without a full stop."""
    found = [
        f"there is no shape {name!r} (only {', '.join(SHAPES)})" for name in world.all_shapes if name not in SHAPES
    ]
    if world.subject.shape in world.shapes:
        found.append(f"the subject, {world.subject.shape!r}, is one of the shapes: it must be new to the base")
    if world.style.name not in STYLES:
        found.append(f"there is no style {world.style.name!r} (only {', '.join(STYLES)})")
    for what, used in (("subject", world.subject.colours), ("style", world.style.colours)):
        found += [f"the {what}'s colour {name!r} is none of the colours" for name in used if name not in world.colours]
        if set(used) >= set(world.colours):
            found.append(f"the {what}'s example has every colour: leave some to test on")
    if world.known.shape not in world.shapes or world.known.colour not in world.colours:
        found.append("the known subject's shape or colour is none of the world's")
    return found + _template_problems(world.captions) + _word_problems(world)


def _template_problems(captions: Captions) -> list[str]:
    """List the templates that lack a field, or have one that isn't theirs."""
    needed = {
        "whole": {"colour", "shape", "background"},
        "without_background": {"colour", "shape"},
        "without_colour": {"shape", "background"},
        "shape_only": {"shape"},
    }
    found = []
    for name, fields in needed.items():
        template = getattr(captions, name)
        given = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
        if given != fields:
            found.append(
                f"the caption {name!r}, {template!r}, must have {{{'}, {'.join(sorted(fields))}}}, and no other"
            )
    return found


def _word_problems(world: World) -> list[str]:
    """List the words that would be ambiguous in captions: every name must be one word that stands for one thing."""
    given = [*world.all_shapes, *world.colours, *world.backgrounds, world.class_word]
    found = [f"{word!r} must be a single word in small letters" for word in given if not re.fullmatch("[a-z]+", word)]
    found += [f"{word!r} stands for two things" for word in dict.fromkeys(given) if given.count(word) > 1]
    templates = " ".join(vars(world.captions).values())
    others = re.sub(r"{\w+}", " ", f"{templates} {world.subject.trigger} {world.style.trigger}").split()
    found += [f"{word!r} is both a name and part of a template or trigger" for word in given if word in others]
    return found


TOY = load(SHIPPED)
"""The shipped world, which ``assets/toy/toy.safetensors`` knows."""
