"""What would be done with a folder's pictures: a pure function of what is there and what is wanted. Nothing is
opened.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..dataset.buckets import Bucket, Geometry, assign
from ..dataset.folder import Picture, Scan
from ..recipe import DatasetRecipe
from ..storage.free_name import free_name
from ..storage.text import printable
from . import crops as by_hand
from .crops import Crop
from .options import Options, PreparationError

LOSS = 0.15
"""A picture of which a single cut loses more than this share is long."""
LARGE = 2.0
"""A picture that covers its bucket so many times along both sides is large."""
MOST_TILES = 64
ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
NAMED = 5
"""Pictures named in a sentence."""


@dataclass(frozen=True)
class Action:
    """One picture to be written. ``target`` is its name below the new folder, ``source`` the original's below its own.

    ``geometry`` is the part that is cut out, in training's own terms, or None for the whole picture at its own size.
    ``looked`` says that the picture's content decides where that part lies: ``geometry`` is then the middle.
    ``by_hand``: a user has put it there. ``tile`` counts from 1; 0 is no tile.
    """

    picture: Picture
    source: str
    target: str
    geometry: Geometry | None
    flip: bool = False
    looked: bool = False
    by_hand: bool = False
    tile: int = 0

    @property
    def before(self) -> tuple[int, int]:
        return self.picture.width, self.picture.height

    @property
    def after(self) -> tuple[int, int]:
        return self.before if self.geometry is None else (self.geometry.bucket.width, self.geometry.bucket.height)

    @property
    def enlarged(self) -> float:
        """How many times the picture is enlarged; 1 and less where it isn't."""
        return (
            1.0
            if self.geometry is None
            else max(r / s for r, s in zip(self.geometry.resized, self.before, strict=True))
        )


@dataclass(frozen=True)
class Plan:
    """``actions`` in the order of the pictures; those of one picture follow each other. ``undersized`` are names of
    originals that would be enlarged, ``tiled`` of those that become tiles."""

    folder: Path
    out: Path
    options: Options
    recipe: DatasetRecipe
    actions: tuple[Action, ...]
    undersized: tuple[str, ...]
    tiled: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def beside(self) -> bool:
        """Whether copies are added to the folder of the originals."""
        return _real(self.folder) == _real(self.out)

    def of(self, source: str) -> tuple[Action, ...]:
        return tuple(action for action in self.actions if action.source == source)


def plan(
    found: Scan,
    folder: Path,
    out: Path,
    options: Options,
    recipe: DatasetRecipe,
    crops: Mapping[str, tuple[Crop, tuple[int, int]]] | None = None,
    made: Collection[str] = (),
) -> Plan:
    """The actions for a folder's pictures; ``recipe`` gives the buckets. ``made`` are names below ``out`` of what
    earlier preparations wrote there: where that is the originals' folder too, they are no originals.

    Raises PreparationError where nothing would be written, or into a folder that would mix up originals and results.
    """
    recipe = dataclasses.replace(recipe, alpha=options.alpha, background=options.background)
    beside = _real(folder) == _real(out)
    if beside and (options.cut != "whole" or not options.mirror):
        raise PreparationError(
            f"Into {printable(folder)} itself only mirrored copies of whole pictures can be added; choose a new "
            f"folder for the rest."
        )
    if not beside and _real(folder) in _real(out).parents:
        raise PreparationError(
            f"{printable(out)} lies in the folder of the originals, which would be trained with; choose another."
        )
    originals = [(name_below(picture, folder), picture) for picture in found.pictures]
    names = _Names()
    if beside:
        originals = [(source, picture) for source, picture in originals if source not in made]
        for source, _ in originals:
            names.take(source)
    actions: list[Action] = []
    tiled: list[str] = []
    for source, picture in originals:
        ways = _ways(picture, source, options, recipe, by_hand.of(crops or {}, source, picture))
        if len(ways) > 1:
            tiled.append(source)
        if options.mirror:
            ways = [*([] if beside else ways), *(dataclasses.replace(way, flip=True) for way in ways)]
        actions += [dataclasses.replace(way, target=names.new(source, ENDINGS[options.format])) for way in ways]
    if not actions:
        raise PreparationError(f"{printable(folder)} holds no picture that could be prepared; look at its report.")
    small = tuple(dict.fromkeys(action.source for action in actions if action.enlarged > 1.0))
    notes = tuple(_notes(actions, small, tiled, options))
    return Plan(folder, out, options, recipe, tuple(actions), small, tuple(tiled), notes)


def _ways(picture: Picture, source: str, options: Options, recipe: DatasetRecipe, crop: Crop | None) -> list[Action]:
    """What becomes of one picture, not mirrored, its targets not named yet."""
    first = Action(picture, source, "", None)
    if options.cut == "whole":
        return [first]
    middle = assign(picture.width, picture.height, recipe)
    tiles = _tiles(middle, picture, options)
    if len(tiles) > 1:
        return [dataclasses.replace(first, geometry=tile, tile=number) for number, tile in enumerate(tiles, start=1)]
    if crop is not None:
        return [dataclasses.replace(first, geometry=by_hand.placed(middle, crop), by_hand=True)]
    looked = options.focus != "middle" and middle.slack != (0, 0)
    return [dataclasses.replace(first, geometry=middle, looked=looked)]


def _tiles(middle: Geometry, picture: Picture, options: Options) -> list[Geometry]:
    """Overlapping windows over a long or large picture; one where it is neither."""
    bucket = middle.bucket
    scale = min(picture.width / bucket.width, picture.height / bucket.height)
    if options.split == "large" and scale >= LARGE:
        resized = picture.width, picture.height
    elif options.split == "long" and middle.kept < 1 - LOSS:
        resized = middle.resized
    else:
        return [middle]
    across, down = (_starts(r, side, options.overlap) for r, side in zip(resized, _sides(bucket), strict=True))
    if len(across) * len(down) > MOST_TILES:
        shrink = math.sqrt(MOST_TILES / (len(across) * len(down)))
        resized = tuple(max(round(r * shrink), side) for r, side in zip(resized, _sides(bucket), strict=True))  # type: ignore[assignment]
        across, down = (_starts(r, side, options.overlap) for r, side in zip(resized, _sides(bucket), strict=True))
    return [Geometry(bucket, resized, x, y) for y in down for x in across]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where windows of ``side`` begin that cover ``length``, evenly, each sharing ``overlap`` of its side or more."""
    slack = length - side
    # A pixel or two that rounding has left over are worth no tile of their own.
    count = 1 + math.ceil((slack - side * 0.02) / (side * (1 - overlap))) if slack > side * 0.02 else 1
    return [slack // 2] if count == 1 else [round(slack * number / (count - 1)) for number in range(count)]


def _sides(bucket: Bucket) -> tuple[int, int]:
    return bucket.width, bucket.height


class _Names:
    """Names for new pictures: the original's, then with -2, -3 …, which no caption takes for words. A name's mask is
    its own.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str) -> None:
        stem = os.path.splitext(name)[0].casefold()
        self._taken |= {stem, f"{stem}-mask"}

    def new(self, source: str, ending: str) -> str:
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
            "take larger ones, lower the resolution, or never enlarge (dataset.no_upscale)."
        )
    if tiled:
        count = sum(action.tile > 0 and not action.flip for action in actions)
        notes.append(f"{_listed(tiled)} cut into {count} tiles.")
    if any(action.picture.has_alpha for action in actions) and options.alpha == "composite":
        notes.append(f"Transparent pictures are put on {options.background}.")
    return notes


def _listed(names: Collection[str]) -> str:
    """The first names, and the verb."""
    first = [printable(name) for name in list(names)[:NAMED]]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(first)}{more} {'is' if len(names) == 1 else 'are'}"


def name_below(picture: Picture, folder: Path) -> str:
    """Below the folder, with slashes; the bare name where links lead elsewhere."""
    try:
        return PurePosixPath(picture.path.relative_to(folder)).as_posix()
    except ValueError:
        return picture.path.name


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
