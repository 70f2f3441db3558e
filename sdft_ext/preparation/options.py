"""What a user wants done with the pictures of a folder."""

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
    """``cut``: into the recipe's buckets, or whole, at their own size.

    ``focus``: where a cut lies that nobody has moved by hand. ``split``: pictures of which a single cut loses much
    (``long``), or which are at least twice as large as their bucket (``large``), become tiles instead, each sharing
    ``overlap`` of its side with the next. ``mirror`` adds a mirrored copy of each. ``alpha``: transparent pictures are
    put on ``background``, or their alpha becomes their mask as well (white trains). ``quality`` counts for JPEG and
    WebP, 1–100 (WebP: 100 loses nothing).
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
    """Options as a request or a command line names them. Raises PreparationError, in a sentence about the first wrong
    one.
    """
    from ..dataset.pictures import PictureError, colour  # Pillow, which the command line's help does without

    known = {field.name for field in dataclasses.fields(Options)}
    for name in values:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            raise PreparationError(
                f"There is no option {str(name)[:40]!r}{f'; did you mean {near[0]!r}?' if near else '.'}"
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
        raise PreparationError("background is no text; write a colour name such as 'white' or #rrggbb.")
    try:
        colour(options.background)
    except PictureError as error:
        raise PreparationError(str(error).replace("dataset.background", "background")) from error
    if options.cut == "whole" and options.split != "off":
        raise PreparationError("Tiles have the size of buckets: cut to buckets, or switch splitting off.")
    return options
