"""Plan a preparation: a pure function of the scanned pictures and the options. No picture is opened."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..dataset import crops as stored_crops
from ..dataset.buckets import Bucket, Geometry, assign
from ..dataset.crops import Crop, name_below
from ..dataset.folder import Picture, Scan
from ..recipe import DatasetRecipe
from ..storage.free_name import free_name
from ..storage.text import printable
from .options import Options, PreparationError

LOSS = 0.15
"""A picture is long if a single crop loses more than this share of it."""
LARGE = 2.0
"""A picture is large if both its sides are at least this many times its bucket's."""
MAX_TILES = 64
ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
NAMED = 5
"""Most pictures that a note names."""


@dataclass(frozen=True)
class Action:
    """A picture to write. ``source``: the original's name below its folder; ``target``: the name below the new folder.

    ``geometry``: the crop, as in training, or None for the whole picture at its own size. ``by_content``: the picture's
    content decides where the crop lies, and ``geometry`` is the middle. ``by_hand``: the user has moved it. ``tile``:
    from 1; 0 if the picture isn't split.
    """

    picture: Picture
    source: str
    target: str
    geometry: Geometry | None
    flip: bool = False
    by_content: bool = False
    by_hand: bool = False
    tile: int = 0

    @property
    def before(self) -> tuple[int, int]:
        """Return the original's width and height."""
        return self.picture.width, self.picture.height

    @property
    def after(self) -> tuple[int, int]:
        """Return the written picture's width and height."""
        return self.before if self.geometry is None else (self.geometry.bucket.width, self.geometry.bucket.height)

    @property
    def enlarged(self) -> float:
        """Return how many times the picture is enlarged; at most 1 where it isn't."""
        return (
            1.0
            if self.geometry is None
            else max(r / s for r, s in zip(self.geometry.resized, self.before, strict=True))
        )


@dataclass(frozen=True)
class Plan:
    """A planned preparation. ``actions`` are in the order of the pictures; ``undersized`` names originals that would be
    enlarged, ``tiled`` those that would be split into tiles.
    """

    folder: Path
    out: Path
    options: Options
    recipe: DatasetRecipe
    actions: tuple[Action, ...]
    undersized: tuple[str, ...]
    tiled: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def in_place(self) -> bool:
        """Return whether copies are added to the folder of the originals."""
        return _real(self.folder) == _real(self.out)

    def of(self, source: str) -> tuple[Action, ...]:
        """Return the actions for one original."""
        return tuple(action for action in self.actions if action.source == source)


def plan(
    found: Scan,
    folder: Path,
    out: Path,
    options: Options,
    recipe: DatasetRecipe,
    crops: Mapping[str, tuple[Crop, tuple[int, int]]] | None = None,
    written: Collection[str] = (),
) -> Plan:
    """Plan the actions for a folder's pictures. ``recipe`` gives the buckets, ``crops`` those moved by hand.

    ``written``: names below ``out`` of files from earlier preparations, which are not originals. Raises
    PreparationError where nothing would be written, or where originals and results would be mixed.
    """
    recipe = dataclasses.replace(recipe, alpha=options.alpha, background=options.background)
    in_place = _real(folder) == _real(out)
    if in_place and (options.cut != "whole" or not options.mirror):
        raise PreparationError(
            f"Only mirrored copies of whole pictures can be added to {printable(folder)} itself; choose a new folder "
            "for everything else."
        )
    if not in_place and _real(folder) in _real(out).parents:
        raise PreparationError(
            f"{printable(out)} is inside the folder of the originals, so both would be trained; choose another folder."
        )
    originals = [(name_below(picture.path, folder), picture) for picture in found.pictures]
    names = _Names()
    if in_place:
        originals = [(source, picture) for source, picture in originals if source not in written]
        for source, _ in originals:
            names.take(source)
    actions: list[Action] = []
    tiled: list[str] = []
    for source, picture in originals:
        crop = stored_crops.find(crops or {}, source, (picture.width, picture.height))
        own = _actions(picture, source, options, recipe, crop)
        if len(own) > 1:
            tiled.append(source)
        if options.mirror:
            own = [*([] if in_place else own), *(dataclasses.replace(action, flip=True) for action in own)]
        actions += [dataclasses.replace(action, target=names.new(source, ENDINGS[options.format])) for action in own]
    if not actions:
        raise PreparationError(f"{printable(folder)} has no picture that can be prepared; its report says why.")
    small = tuple(dict.fromkeys(action.source for action in actions if action.enlarged > 1.0))
    notes = tuple(_notes(actions, small, tiled, options))
    return Plan(folder, out, options, recipe, tuple(actions), small, tuple(tiled), notes)


def _actions(picture: Picture, source: str, options: Options, recipe: DatasetRecipe, crop: Crop | None) -> list[Action]:
    """Return the actions for one picture, not mirrored and without targets yet."""
    first = Action(picture, source, "", None)
    if options.cut == "whole":
        return [first]
    middle = assign(picture.width, picture.height, recipe)
    tiles = _tiles(middle, picture, options)
    if len(tiles) > 1:
        return [dataclasses.replace(first, geometry=tile, tile=number) for number, tile in enumerate(tiles, start=1)]
    if crop is not None:
        return [dataclasses.replace(first, geometry=stored_crops.placed(middle, crop), by_hand=True)]
    by_content = options.focus != "middle" and middle.slack != (0, 0)
    return [dataclasses.replace(first, geometry=middle, by_content=by_content)]


def _tiles(middle: Geometry, picture: Picture, options: Options) -> list[Geometry]:
    """Return overlapping windows over a long or large picture, or one where it is neither."""
    bucket = middle.bucket
    scale = min(picture.width / bucket.width, picture.height / bucket.height)
    if options.split == "large" and scale >= LARGE:
        resized = picture.width, picture.height
    elif options.split == "long" and middle.kept < 1 - LOSS:
        resized = middle.resized
    else:
        return [middle]
    across, down = (_starts(r, side, options.overlap) for r, side in zip(resized, _sides(bucket), strict=True))
    if len(across) * len(down) > MAX_TILES:
        shrink = math.sqrt(MAX_TILES / (len(across) * len(down)))
        resized = tuple(max(round(r * shrink), side) for r, side in zip(resized, _sides(bucket), strict=True))  # type: ignore[assignment]
        across, down = (_starts(r, side, options.overlap) for r, side in zip(resized, _sides(bucket), strict=True))
    return [Geometry(bucket, resized, x, y) for y in down for x in across]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Return where windows of ``side`` start that cover ``length`` evenly, each overlapping by ``overlap`` or more."""
    slack = length - side
    # One or two pixels left over by rounding need no tile of their own.
    count = 1 + math.ceil((slack - side * 0.02) / (side * (1 - overlap))) if slack > side * 0.02 else 1
    return [slack // 2] if count == 1 else [round(slack * number / (count - 1)) for number in range(count)]


def _sides(bucket: Bucket) -> tuple[int, int]:
    return bucket.width, bucket.height


class _Names:
    """Names for new pictures: the original's, then with -2, -3 …, which captions from file names leave out. A taken
    name takes that of its mask too.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str) -> None:
        """Mark a name as taken."""
        stem = os.path.splitext(name)[0].casefold()
        self._taken |= {stem, f"{stem}-mask"}

    def new(self, source: str, ending: str) -> str:
        """Return a free name like an original's, and take it."""
        stem = free_name(os.path.splitext(source)[0], self._is_taken)
        self.take(f"{stem}.x")
        return stem + ending

    def _is_taken(self, stem: str) -> bool:
        return bool(self._taken & {stem.casefold(), f"{stem.casefold()}-mask"})


def _notes(actions: list[Action], small: tuple[str, ...], tiled: list[str], options: Options) -> list[str]:
    notes = []
    if small:
        most = max(action.enlarged for action in actions)
        notes.append(
            f"{_listed(small)} smaller than the bucket and would be enlarged, up to {most:.2g} times: "
            "use larger ones, lower the resolution, or turn on dataset.no_upscale."
        )
    if tiled:
        count = sum(action.tile > 0 and not action.flip for action in actions)
        notes.append(f"{_listed(tiled)} cut into {count} tiles.")
    if any(action.picture.has_alpha for action in actions) and options.alpha == "composite":
        notes.append(f"Transparent pictures are put on {options.background}.")
    return notes


def _listed(names: Collection[str]) -> str:
    """Write the first names with 'is' or 'are'."""
    first = [printable(name) for name in list(names)[:NAMED]]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(first)}{more} {'is' if len(names) == 1 else 'are'}"


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
