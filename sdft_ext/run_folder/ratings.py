"""How a user rates single pictures of a run: ``ratings.json`` in its folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..storage import json_file

FILE = "ratings.json"
WORDS = "words"
"""The set of pictures that are drawn for the trained words; the others are the sets of control pictures."""


@dataclass(frozen=True)
class RatedPicture:
    """A picture by its set, number in it, and step, with the name of its rating."""

    set: str
    number: int
    step: int
    rating: str


def read(folder: Path) -> list[RatedPicture]:
    """Read a run's ratings; none where the file is damaged."""
    return [one for one in map(_rated, _listed(json_file.read_or(folder / FILE, {}))) if one is not None]


def rate(folder: Path, rated: RatedPicture) -> list[RatedPicture]:
    """Note a picture's rating in the place of an earlier one; an empty one removes it. Returns all ratings of the run.

    Raises OSError where the file can't be read or written: no rating is lost then.
    """
    kept = [one for one in map(_rated, _listed(json_file.read_to_extend(folder / FILE, {}))) if one is not None]
    place = (rated.set, rated.number, rated.step)
    found = [one for one in kept if (one.set, one.number, one.step) != place]
    found += [rated] if rated.rating else []
    found.sort(key=lambda one: (one.step, one.set, one.number))
    json_file.write(folder / FILE, {"ratings": [asdict(one) for one in found]})
    return found


def _listed(found: dict[str, Any]) -> list[Any]:
    listed = found.get("ratings")
    return listed if isinstance(listed, list) else []


def _rated(value: Any) -> RatedPicture | None:
    try:
        one = RatedPicture(**value)
    except TypeError:
        return None
    texts, numbers = (one.set, one.rating), (one.number, one.step)
    return one if all(isinstance(v, str) for v in texts) and all(isinstance(v, int) for v in numbers) else None
