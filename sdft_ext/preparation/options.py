"""Options of a preparation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

from ..errors import SdftError

Cut = Literal["buckets", "whole"]
Focus = Literal["middle", "edges", "entropy", "faces"]
Split = Literal["off", "long", "large"]
Alpha = Literal["composite", "mask"]
Format = Literal["png", "jpeg", "webp"]


class PreparationError(SdftError, ValueError):
    """Nothing was written; the message says what is wrong, with which folder or file, and what to do."""


@dataclass(frozen=True)
class Options:
    """How to prepare a folder's pictures.

    ``cut``: crop to the recipe's buckets, or keep whole pictures at their own size. ``focus``: where crops lie that
    weren't moved by hand. ``split``: pictures of which a single crop loses much (``long``), or which are at least twice
    as large as their bucket (``large``), become tiles instead; neighbours share ``overlap`` of their side. ``mirror``:
    add a mirrored copy of each. ``alpha``: put transparent pictures on ``background``; with ``mask``, their alpha also
    becomes their mask (white is trained). ``quality``: of JPEG and WebP, 1–100 (100 makes WebP lossless).
    """

    cut: Cut = "buckets"
    focus: Focus = "middle"
    split: Split = "off"
    overlap: float = 0.2
    mirror: bool = False
    alpha: Alpha = "composite"
    background: str = "white"
    format: Format = "png"
    quality: int = 95


CHOICES: dict[str, tuple[str, ...]] = {
    "cut": get_args(Cut),
    "focus": get_args(Focus),
    "split": get_args(Split),
    "alpha": get_args(Alpha),
    "format": get_args(Format),
}


def from_plain(values: Mapping[str, Any]) -> Options:
    """Make options from a request's or a command line's values. Raises PreparationError about the first wrong one."""
    from ..dataset.pictures import PictureError, colour  # Pillow, which the command line's help does without

    known = {field.name for field in dataclasses.fields(Options)}
    for name in values:
        if name not in known:
            close = get_close_matches(str(name), known, 1)
            raise PreparationError(
                f"There is no option {str(name)[:40]!r}{f'; did you mean {close[0]!r}?' if close else '.'}"
            )
    for name, choices in CHOICES.items():
        if name in values and values[name] not in choices:
            raise PreparationError(f"{name} is {str(values[name])[:40]!r}; write one of {', '.join(choices)}.")
    numbers = {"overlap": (0.0, 0.8, (int, float), "a number"), "quality": (1, 100, (int,), "a whole number")}
    for name, (low, high, kinds, what) in numbers.items():
        value = values.get(name, low)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            raise PreparationError(f"{name} is {str(value)[:40]!r}; write {what} from {low} to {high}.")
    if not isinstance(values.get("mirror", False), bool):
        raise PreparationError("mirror is on or off: write true or false.")
    options = Options(**values)
    if not isinstance(options.background, str):
        raise PreparationError("background is not text; write a colour name such as 'white' or #rrggbb.")
    try:
        colour(options.background)
    except PictureError as error:
        raise PreparationError(str(error).replace("dataset.background", "background")) from error
    if options.cut == "whole" and options.split != "off":
        raise PreparationError("Tiles have the size of buckets: cut to buckets, or switch splitting off.")
    return options
