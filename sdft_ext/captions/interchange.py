"""Import and export captions: text files, file names, kohya's JSON, diffusers' JSONL, CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..dataset import names
from ..dataset.buckets import assign
from ..dataset.folder import CAPTION_BYTES
from ..dataset.links import LinkError, MayRead, check_write
from ..dataset.pictures import EXTENSIONS
from ..recipe import DatasetRecipe
from ..storage import atomic
from ..storage.regular_file import read_start
from ..storage.text import decode, printable
from . import files
from .choices import HOW
from .entries import Picture
from .errors import CaptionsError
from .files import CaptionFormat, WriteConflict
from .one_file import PARSERS

ONE_FILE = {"meta_cap": "meta_cap.json", "meta_lat": "meta_lat.json", "jsonl": "metadata.jsonl", "csv": "captions.csv"}
"""Formats with one file for all captions, and its usual name."""
MAX_NAME = 180
"""Bytes of a file name without its extension."""
MAX_LIST = 64 * 2**20
"""Bytes of a file with all captions."""
_NOT_IN_TEXTS = re.compile("[\0\ud800-\udfff]")
_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')


@dataclass(frozen=True)
class Imported:
    """New texts of pictures (None where there is none), and names that match no picture."""

    texts: list[str | None]
    unmatched: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Exported:
    """How many files were ``written``; those ``left`` exist with other content; ``notes`` say what couldn't be kept."""

    written: int
    left: list[str]
    notes: list[str]


# Import.


def read_beside(format: str, pictures: Sequence[Picture], may_read: MayRead) -> Imported:
    """Read the files beside the pictures (``.txt``, ``.caption``), or their names. Raises CaptionsError.

    ``may_read`` says which places links may lead to; other links are no captions.
    """
    if format == "names":
        return Imported([names.caption(os.path.splitext(picture.path.name)[0]) or None for picture in pictures])
    texts: list[str | None] = []
    for picture in pictures:
        own = picture.entry.file  # its name may differ from the picture's in capitals
        path = own if own.suffix.lower() == f".{format}" else _with_ending(picture.path, f".{format}")
        try:
            data = _read_short(path) if not path.is_symlink() or may_read(path) else None
        except OSError as error:
            raise CaptionsError(
                f"{printable(path)} can't be read ({error.strerror}); change its permissions."
            ) from error
        if data is not None and len(data) > CAPTION_BYTES:
            raise CaptionsError(
                f"{printable(path)} is longer than {CAPTION_BYTES // 1024} kB, too long for a caption; shorten or "
                f"remove it."
            )
        texts.append(files.parse(data).text if data is not None else None)
    return Imported(texts)


def read_list(path: Path) -> bytes:
    """Return the bytes of a file with all captions. Raises CaptionsError where there are none, or too many."""
    try:
        content = read_start(path, MAX_LIST + 1)
    except OSError as error:
        raise CaptionsError(f"{printable(path)} can't be read ({error.strerror}); choose another file.") from error
    if len(content) > MAX_LIST:
        raise CaptionsError(f"{printable(path)} is larger than {MAX_LIST // 2**20} MB; split it.")
    if not content.strip(b"\xff\xfe\xef\xbb\xbf\0 \t\r\n"):
        raise CaptionsError(f"{printable(path)} is empty; choose another file.")
    return content


def read_file(format: str, content: str | bytes, pictures: Sequence[Picture], path: Path | None = None) -> Imported:
    """Read one file with the captions of these pictures. Raises CaptionsError, which names ``path``, where it isn't of
    that format.
    """
    if isinstance(content, bytes):
        content = decode(content)[0]
    try:
        texts = PARSERS[format](content.lstrip("\ufeff"))
        if not texts:
            raise CaptionsError("The file has no captions; choose another one.")
        for name, text in texts.items():
            if _NOT_IN_TEXTS.search(text):
                raise CaptionsError(
                    f"The caption of {printable(name[:200])} has characters that no text file can hold, such as a NUL "
                    "or half a pair of surrogates; correct it."
                )
    except CaptionsError as error:
        if path is None:
            raise
        raise CaptionsError(f"{printable(path)}: {error}") from error
    matcher = _Matcher(pictures)
    matches = {name: matcher.match(name) for name in texts}
    best: dict[int, int] = {}
    for match in matches.values():
        for place in match.places:
            best[place] = min(match.rank, best.get(place, match.rank))
    found: dict[int, str] = {}
    unmatched = []
    for name, text in texts.items():
        own = [place for place in matches[name].places if best[place] == matches[name].rank]
        for place in own:
            found[place] = text
        if not own:
            unmatched.append(name)
    return Imported([found.get(place) for place in range(len(pictures))], unmatched)


def combine(how: str, old: str, new: str) -> str | None:
    """Combine a caption with an imported text; None where the caption stays."""
    if how not in HOW:
        raise CaptionsError(f"Captions are imported by one of {', '.join(HOW)}, not {how[:40]!r}.")
    if how == "replace":
        return new
    if how == "empty":
        return new if not old.strip() else None
    first, second = (old, new) if how == "append" else (new, old)
    return ", ".join(part.strip(" ,") for part in (first, second) if part.strip(" ,"))


@dataclass(frozen=True)
class _Match:
    """Pictures that a name may refer to; the lower ``rank`` is, the surer."""

    rank: int
    places: list[int]


class _Matcher:
    """Finds pictures by any end of their path, with or without the extension."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._whole: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}
        for place, picture in enumerate(pictures):
            stem = os.path.splitext(picture.name)[0]
            self._whole.setdefault(picture.path.as_posix(), []).append(place)
            for name in {picture.name, stem}:
                self._whole.setdefault(name, []).append(place)
                self._ends.setdefault(name.rpartition("/")[2], []).append(place)

    def match(self, name: str) -> _Match:
        """Find the pictures that the longest end of a name refers to; a bare file name may refer to several.

        Rank 0 is the whole name, and one more for each folder that had to be left out.
        """
        parts = name.strip().replace("\\", "/").split("/")
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            found = self._whole.get(end) or self._whole.get(_bare(end))
            if found:
                return _Match(start, found)
        ends = self._ends.get(parts[-1]) or self._ends.get(_bare(parts[-1]), [])
        return _Match(len(parts), ends if len(ends) == 1 or len(parts) == 1 else [])


def _bare(name: str) -> str:
    """Return a name without a picture's extension; ``img.2`` has none."""
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in EXTENSIONS else name


# Export.


def multiline_notes(pictures: Sequence[Picture]) -> list[str]:
    """Say how many captions lose their line breaks in a format with one file for all."""
    count = sum("\n" in picture.caption for picture in pictures)
    if not count:
        return []
    return [
        f"{count:,} caption{' has' if count == 1 else 's have'} several lines, which this format joins into one; use "
        f"txt "
        "to keep line breaks."
    ]


def format_file(format: str, pictures: Sequence[Picture], root: Path, resolution: int = 512) -> str:
    """Write the captions of pictures below ``root`` as the text of one file.

    kohya's names are the pictures' own without extension, or whole paths where two of those are equal;
    ``train_resolution`` in ``meta_lat`` is the bucket at ``resolution``.
    """
    if format == "jsonl":
        lines = (json.dumps({"file_name": p.name, "text": _line(p.caption)}, ensure_ascii=False) for p in pictures)
        return _encodable("".join(line + "\n" for line in lines))
    if format == "csv":
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\r\n")
        writer.writerow(("file_name", "text"))
        writer.writerows((picture.name, _line(picture.caption)) for picture in pictures)
        return _encodable(buffer.getvalue())
    stems = [os.path.splitext(picture.path.name)[0] for picture in pictures]
    unique = len(set(stems)) == len(stems)
    recipe = DatasetRecipe(resolution=resolution)
    entries: dict[str, Any] = {}
    for stem, picture in zip(stems, pictures, strict=True):
        entry: dict[str, Any] = {"caption": _line(picture.caption)}
        if format == "meta_lat":
            bucket = assign(picture.width, picture.height, recipe).bucket
            entry["train_resolution"] = [bucket.width, bucket.height]
        entries[stem if unique else str(root / picture.name)] = entry
    return _encodable(json.dumps(entries, indent=2, ensure_ascii=False) + "\n")


def write_file(path: Path, content: str, replace: bool) -> Exported:
    """Write a file; one that exists with other content stays, unless ``replace``. Raises CaptionsError."""
    return _written(path.parent, [(path, content.encode("utf-8"))], replace)


def write_beside(ending: str, pictures: Sequence[Picture], to: Path, replace: bool) -> Exported:
    """Write a text file for each picture with a caption, below ``to`` as the picture is below its own folder."""
    wanted: dict[Path, bytes] = {}
    for picture in pictures:
        if picture.caption:
            wanted[to / _with_ending(PurePosixPath(picture.name), f".{ending}")] = files.compose(
                picture.caption, CaptionFormat()
            )[0]
    return _written(to, list(wanted.items()), replace)


def copy_named(pictures: Sequence[Picture], to: Path, replace: bool) -> Exported:
    """Copy the pictures under numbered names that are their captions, as the WebUI's own trainer reads (``00001-a
    dog.png``).
    """
    written, left, notes = 0, [], []
    shortened = 0
    for number, picture in enumerate(pictures):
        line = _line(picture.caption)
        name = _NOT_IN_NAMES.sub(" ", line).strip(" .")
        while len(name.encode("utf-8")) > MAX_NAME:
            name = name[:-1]
        name = " ".join(name.split())
        shortened += name != line
        target = to / (f"{number:05d}{'-' if name else ''}{name}" + picture.path.suffix.lower())
        if target.exists() and not replace:
            left.append(target.name)
            continue
        try:
            atomic.write(target, lambda file, source=picture.path: _copy(source, file))  # type: ignore[misc]
        except OSError as error:
            raise CaptionsError(
                f"{printable(picture.path)} can't be copied ({error.strerror or error}); free space or choose "
                f"another folder."
            ) from error
        written += 1
    if shortened:
        one = shortened == 1
        notes.append(
            f"{shortened:,} caption{'' if one else 's'} can't be a file name (too long, or with characters such as / "
            f"and ?) "
            f"and {'was' if one else 'were'} shortened; use txt to keep every word."
        )
    return Exported(written, left, notes)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _written(root: Path, wanted: Sequence[tuple[Path, bytes]], replace: bool) -> Exported:
    written, left = 0, []
    for path, data in wanted:
        try:
            check_write(root, path)
            path.parent.mkdir(parents=True, exist_ok=True)
            now = files.read(path)
            if now == data:
                continue
            if now is not None and not replace:
                left.append(path.name)
                continue
            files.replace(path, data, lambda held, now=now: held == now)  # type: ignore[misc]
        except WriteConflict:
            left.append(path.name)
            continue
        except LinkError as error:
            raise CaptionsError(str(error)) from error
        except OSError as error:
            raise CaptionsError(
                f"{printable(path)} can't be written ({error.strerror}); free space or choose another folder."
            ) from error
        written += 1
    return Exported(written, left, [])


def _read_short(path: Path) -> bytes | None:
    """Return a file's first bytes, one more than a caption may have; None where there is no file. Raises OSError."""
    try:
        return read_start(path, CAPTION_BYTES + 1)
    except FileNotFoundError:
        return None


def _with_ending(path: Any, ending: str) -> Any:
    return path.with_name(os.path.splitext(path.name)[0] + ending)


def _line(caption: str) -> str:
    return " ".join(caption.split())


def _encodable(text: str) -> str:
    """Replace lone surrogates, which a file name may contain and a text file can't."""
    return text.encode("utf-8", "replace").decode("utf-8")
