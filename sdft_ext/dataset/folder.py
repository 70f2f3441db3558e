"""Scan folders of pictures: only file names, headers and captions are read."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import SdftError
from ..recipe import Concept, DatasetRecipe
from ..storage import text as text_files
from ..storage.text import printable
from . import names, pictures
from .pictures import PictureError

CAPTION_ENDINGS = (".txt", ".caption")
"""Extensions of caption files; the first is used where a picture has both."""
CAPTION_BYTES = 65_536
"""Longer files are not used as captions."""
MASK_ASPECT = 0.02
"""Masks whose aspect ratio differs more from their picture's (as a logarithm) are reported."""
LONG_CAPTION = 2_000
"""Captions with more characters (about 400 tokens) are reported."""
SKIPPED_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin"})


class DatasetError(SdftError, ValueError):
    """A dataset can't be trained on; the message names the folder, what is wrong, and what to do."""


@dataclass(frozen=True)
class Picture:
    """A picture of a dataset.

    ``width`` and ``height`` in pixels, upright. ``caption``: from its caption file, folder or name, before the recipe's
    template; may be empty. ``repeats``: showings per epoch. ``size`` (bytes) and ``mtime_ns`` reveal changed files.
    """

    path: Path
    concept: int
    regularization: bool
    width: int
    height: int
    caption: str
    repeats: int
    mask_path: Path | None
    has_alpha: bool
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Problem:
    """A problem with a file, in one sentence. ``skipped``: the file isn't trained on."""

    path: Path
    text: str
    skipped: bool


@dataclass(frozen=True)
class Scan:
    """The result of scanning a dataset. Its pictures are always in the same order."""

    concepts: tuple[Concept, ...]
    pictures: tuple[Picture, ...]
    problems: tuple[Problem, ...]

    @property
    def instances(self) -> list[int]:
        """Return the indices of the instance pictures."""
        return [i for i, picture in enumerate(self.pictures) if not picture.regularization]

    @property
    def regularization(self) -> list[int]:
        """Return the indices of the regularization pictures."""
        return [i for i, picture in enumerate(self.pictures) if picture.regularization]

    def without(self, bad: Sequence[Problem]) -> Scan:
        """Return the scan without the pictures that ``bad`` names, and with ``bad`` among its problems.

        Raises DatasetError where a folder has no picture left.
        """
        paths = {problem.path for problem in bad}
        left = tuple(picture for picture in self.pictures if picture.path not in paths)
        scan = replace(self, pictures=left, problems=(*self.problems, *bad))
        for number in range(len(self.concepts)):
            _need_pictures(scan, number)
        return scan

    @property
    def fingerprint(self) -> str:
        """Return a hash of the pictures, their order, captions and repeats; a run resumes only if it is unchanged."""
        digest = hashlib.blake2b(digest_size=16)
        for p in self.pictures:
            name = os.fsencode(p.path.name)
            facts = (p.concept, p.regularization, p.width, p.height, p.caption, p.repeats, p.mask_path is None, p.size)
            digest.update(repr((name, facts)).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def scan(recipe: DatasetRecipe) -> Scan:
    """Scan every concept's folders. Unusable pictures are skipped and listed as problems.

    Raises DatasetError where a folder is missing or contains no usable picture.
    """
    try:
        pictures.colour(recipe.background)
    except PictureError as error:
        raise DatasetError(str(error)) from error
    if not any(concept.instance for concept in recipe.concepts):
        raise DatasetError("No concept has a folder of pictures; set dataset.concepts[0].instance to one.")
    found: list[Picture] = []
    problems: list[Problem] = []
    for number, concept in enumerate(recipe.concepts):
        if not concept.instance:
            text = f"Concept {number + 1} ({concept.name!r}) has no instance folder; name one or remove the concept."
            raise DatasetError(text)
        for folder, regularization in ((concept.instance, False), (concept.regularization, True)):
            if not folder:
                continue
            other = concept.instance if regularization else concept.regularization
            part, trouble = _read_folder(Path(folder).expanduser(), other, number, regularization, recipe)
            found += part
            problems += trouble
    result = Scan(tuple(recipe.concepts), tuple(found), tuple(problems))
    for number in range(len(recipe.concepts)):
        _need_pictures(result, number)
    return result


@dataclass(frozen=True)
class ListedPicture:
    """A picture file that wasn't opened. ``text_file``: its caption file, or None; ``fallback``: the caption where
    there is none, from the folder's name (``from_folder``) or its own.
    """

    path: Path
    entry: os.DirEntry[str]
    text_file: Path | None
    fallback: str
    from_folder: bool


def list_pictures(root: Path) -> tuple[list[ListedPicture], list[Problem]]:
    """List the picture files that ``scan`` would find in a folder, without masks; no file is read.

    Raises DatasetError where the folder is missing.
    """
    if not root.is_dir():
        raise DatasetError(f"The folder {printable(root)} is gone or not a folder; put it back, or choose another one.")
    problems: list[Problem] = []
    found = []
    for file in _walk(root, _at_root(root), set(), problems):
        fallback = file.folder_caption or names.caption(file.path.stem)
        found.append(ListedPicture(file.path, file.entry, file.text_file, fallback, bool(file.folder_caption)))
    return found, problems


@dataclass(frozen=True)
class _File:
    """A picture file with its caption and mask files, before it is opened."""

    path: Path
    entry: os.DirEntry[str]
    text_file: Path | None
    mask: Path | None
    repeats: int
    folder_caption: str


def _read_folder(
    root: Path, other: str, concept: int, regularization: bool, recipe: DatasetRecipe
) -> tuple[list[Picture], list[Problem]]:
    what = "regularization" if regularization else "instance"
    if not root.exists():
        raise DatasetError(f"The {what} folder {printable(root)} does not exist; check its name.")
    if not root.is_dir():
        raise DatasetError(
            f"The {what} folder {printable(root)} is a file; name the folder that contains the pictures."
        )
    settings = recipe.concepts[concept]
    times = settings.regularization_repeats if regularization else settings.repeats
    found: list[Picture] = []
    problems: list[Problem] = []
    excluded = {os.path.realpath(os.path.expanduser(other))} if other else set()
    for file in _walk(root, _at_root(root), excluded - {os.path.realpath(root)}, problems):
        try:
            header = pictures.read_header(file.path)
            mask = pictures.read_header(file.mask) if file.mask is not None else None
        except PictureError as error:
            problems.append(Problem(file.path, str(error), True))
            continue
        if mask is not None and abs(math.log(mask.width * header.height / (mask.height * header.width))) > MASK_ASPECT:
            text = (
                f"{printable(file.mask)} has another aspect ratio than its picture and is stretched; draw it at the "
                "picture's size."
            )
            problems.append(Problem(file.path, text, False))
        stat = file.entry.stat()
        caption = _caption(file, recipe, problems)
        found.append(
            Picture(
                path=file.path,
                concept=concept,
                regularization=regularization,
                width=header.width,
                height=header.height,
                caption=caption,
                repeats=times * file.repeats,
                mask_path=file.mask,
                has_alpha=header.has_alpha,
                size=stat.st_size,
                mtime_ns=stat.st_mtime_ns,
            )
        )
    return found, problems


def _at_root(root: Path) -> tuple[int, str]:
    """Return repeats and caption from the name of the dataset's folder itself, where 0 repeats don't count."""
    parsed = names.kohya(root.resolve().name)
    return parsed if parsed is not None and parsed[0] else (1, "")


def _walk(folder: Path, inherited: tuple[int, str], seen: set[str], problems: list[Problem]) -> Iterator[_File]:
    """Yield the picture files below ``folder``, in order of name. Linked folders are followed, but each only once."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as entries:
            listed = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        problems.append(
            Problem(folder, f"{printable(folder)} can't be listed ({error.strerror}) and is left out.", True)
        )
        return
    yield from _files(folder, [e for e in listed if _is_file(e)], inherited, problems)
    for entry in listed:
        if not entry.is_dir() or entry.name.lower() in SKIPPED_FOLDERS:
            continue
        path = folder / entry.name
        parsed = names.kohya(entry.name)
        if parsed is not None and parsed[0] == 0:
            problems.append(
                Problem(path, f"{printable(path)} has 0 repeats in its name; its pictures are left out.", True)
            )
            continue
        if parsed is None and names.looks_dated(entry.name):
            text = f"{printable(path)} starts with a number of four digits or more, which isn't read as repeats."
            problems.append(Problem(path, text, False))
        yield from _walk(path, parsed or inherited, seen, problems)


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _files(
    folder: Path, entries: Sequence[os.DirEntry[str]], inherited: tuple[int, str], problems: list[Problem]
) -> Iterator[_File]:
    """Yield the picture files among one folder's entries, with their caption and mask files."""
    texts: dict[tuple[str, str], str] = {}
    candidates: list[tuple[str, os.DirEntry[str]]] = []
    for entry in entries:
        stem, ending = os.path.splitext(entry.name)
        ending = ending.lower()
        if ending in CAPTION_ENDINGS:
            texts[stem, ending] = entry.name
        elif ending in pictures.UNREADABLE:
            path = folder / entry.name
            text = f"{printable(path)} has a format that can't be read here ({ending}); save it as JPEG or PNG."
            problems.append(Problem(path, text, True))
        elif stem.lower().endswith(".preview"):
            continue
        elif ending in pictures.EXTENSIONS or _starts_like_picture(folder / entry.name):
            candidates.append((stem, entry))
    stems = {stem for stem, _ in candidates}
    masks = {base: entry.name for stem, entry in candidates if (base := names.mask_of(stem)) in stems}
    repeats, folder_caption = inherited
    for stem, entry in candidates:
        if names.mask_of(stem) in stems:
            continue
        text_name = next((texts[stem, ending] for ending in CAPTION_ENDINGS if (stem, ending) in texts), None)
        yield _File(
            folder / entry.name,
            entry,
            folder / text_name if text_name is not None else None,
            folder / masks[stem] if stem in masks else None,
            repeats,
            folder_caption,
        )


_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")


def _starts_like_picture(path: Path) -> bool:
    """Return whether a file with an unknown extension (``.jpg_large``) or none is a picture."""
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except OSError:
        return False
    return start.startswith(_MAGIC) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP") or start[4:12] == b"ftypavif"


def _caption(file: _File, recipe: DatasetRecipe, problems: list[Problem]) -> str:
    """Return the caption from the text file, else from a folder such as ``10_words``, else from the file's name, as
    ``dataset.captions`` says.
    """
    if recipe.captions == "filename":
        return names.caption(file.path.stem)
    if file.text_file is not None:
        text = _read_text(file.text_file, problems)
        if text is not None:
            return text
    if file.folder_caption:
        return file.folder_caption
    return names.caption(file.path.stem) if recipe.captions == "auto" else ""


def _read_text(path: Path, problems: list[Problem]) -> str | None:
    """Read a caption as one line; None where the file isn't a caption. Problems are noted, an empty caption too."""

    def note(text: str) -> None:
        problems.append(Problem(path, f"{printable(path)} {text}", False))

    try:
        with open(path, "rb") as handle:
            data = handle.read(CAPTION_BYTES + 1)
    except OSError as error:
        note(f"can't be read ({error.strerror}); its picture is trained without it.")
        return None
    if len(data) > CAPTION_BYTES:
        note(f"is longer than {CAPTION_BYTES // 1024} kB, too long for a caption; shorten it.")
        return None
    if data.startswith(_MAGIC):
        note("contains a picture, not a caption; give it a picture's extension.")
        return None
    decoded, encoding = text_files.decode(data)
    caption = " ".join(decoded.replace("\0", " ").split())
    if not caption:
        note("is empty: its picture is trained with trigger and class word alone; write a caption or delete the file.")
    elif len(caption) > LONG_CAPTION:
        note(f"is a caption of {len(caption):,} characters: every 75 tokens need another pass; shorten it.")
    if encoding in ("cp1252", "latin-1"):
        note(f"is not UTF-8 and was read as {encoding}; check its letters and save it as UTF-8.")
    return caption


def _need_pictures(scan: Scan, concept: int) -> None:
    """Raise DatasetError where a concept's instance or regularization folder has no usable picture."""
    settings = scan.concepts[concept]
    for regularization, folder in ((False, settings.instance), (True, settings.regularization)):
        if not folder or any(p.concept == concept and p.regularization == regularization for p in scan.pictures):
            continue
        root = Path(folder).expanduser()
        what = "regularization" if regularization else "instance"
        bad = [p.text for p in scan.problems if p.skipped and root in (p.path, *p.path.parents)]
        if bad:
            more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
            raise DatasetError(
                f"None of the pictures in the {what} folder {printable(root)} can be used: {' '.join(bad[:3])}{more}"
            )
        raise DatasetError(
            f"The {what} folder {printable(root)} contains no pictures; put JPEG, PNG or WebP files there"
            + (", or leave dataset.concepts[].regularization empty." if regularization else ".")
        )
