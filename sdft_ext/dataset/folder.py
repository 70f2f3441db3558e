"""Scan folders of pictures: only file names, headers and captions are read."""

from __future__ import annotations

import hashlib
import math
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..recipe import Concept, DatasetRecipe
from ..recipe.dataset import CaptionLines
from ..storage import text as text_files
from ..storage.regular_file import read_start
from ..storage.text import printable
from . import crops, links, names, pictures
from .crops import Crop
from .links import MayRead
from .listing import PICTURE_STARTS, DatasetError, ListedPicture, Listing, Problem
from .pictures import PictureError

CAPTION_BYTES = 65_536
"""Longer files are not used as captions."""
MASK_ASPECT = 0.02
"""Masks whose aspect ratio differs more from their picture's (as a logarithm) are reported."""
LONG_CAPTION = 2_000
"""Captions with more characters (about 400 tokens) are reported."""

__all__ = ["DatasetError", "Picture", "Problem", "Scan", "scan"]


@dataclass(frozen=True)
class Picture:
    """A picture of a dataset.

    ``width`` and ``height`` in pixels, upright. ``caption``: from its caption file, folder or name, before the recipe's
    template; may be empty. ``repeats``: showings per epoch. ``size`` (bytes) and ``mtime_ns`` reveal changed files.
    ``text_file``: its caption file, or None. ``crop``: its crop that was moved by hand, or None.
    ``lines``: its captions, of which each showing takes one; empty where ``caption`` is the only one.
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
    text_file: Path | None = None
    crop: Crop | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """The result of scanning a dataset. Its pictures are always in the same order.

    ``unused_texts``: caption files that belong to no picture.
    """

    concepts: tuple[Concept, ...]
    pictures: tuple[Picture, ...]
    problems: tuple[Problem, ...]
    unused_texts: tuple[Path, ...] = ()

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

    def as_begun(self, fingerprint: str | None) -> Scan:
        """Return the scan as a run began with it, by that run's fingerprint: without the crops that have been moved
        since, or before training knew them (version 0.1.0).
        """
        plain = replace(self, pictures=tuple(replace(picture, crop=None) for picture in self.pictures))
        began = (fingerprint or "").partition("-")[0]
        return plain if began == plain.fingerprint else self

    @property
    def fingerprint(self) -> str:
        """Return a hash of the pictures, their order, captions and repeats; a run resumes only if it is unchanged."""
        digest = hashlib.blake2b(digest_size=16)
        for p in self.pictures:
            name = os.fsencode(p.path.name)
            facts = (p.concept, p.regularization, p.width, p.height, p.caption, p.repeats, p.mask_path is None, p.size)
            more = [fact for fact in (p.crop, p.lines) if fact]
            digest.update(repr((name, facts, *more)).encode("utf-8", "surrogatepass"))
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
    unused: list[Path] = []
    may_read = links.readable(recipe)
    for number, concept in enumerate(recipe.concepts):
        if not concept.instance:
            text = f"Concept {number + 1} ({concept.name!r}) has no instance folder; name one or remove the concept."
            raise DatasetError(text)
        for folder, regularization in ((concept.instance, False), (concept.regularization, True)):
            if not folder:
                continue
            other = concept.instance if regularization else concept.regularization
            listing = _list(Path(folder).expanduser(), other, regularization, may_read)
            found += _read_folder(listing, number, regularization, recipe)
            problems += listing.problems
            unused += listing.unused_texts
    # Two concepts may share a folder.
    result = Scan(tuple(recipe.concepts), tuple(found), tuple(problems), tuple(dict.fromkeys(unused)))
    for number in range(len(recipe.concepts)):
        _need_pictures(result, number)
    return with_crops(result)


def with_crops(scan: Scan) -> Scan:
    """Return the scan with the crops that are stored in its folders now."""
    stored = {
        (number, regularization): (root, crops.read(root))
        for number, concept in enumerate(scan.concepts)
        for folder, regularization in ((concept.instance, False), (concept.regularization, True))
        if folder and (root := Path(folder).expanduser())
    }
    if not any(found for _, found in stored.values()) and all(picture.crop is None for picture in scan.pictures):
        return scan
    cropped = []
    for picture in scan.pictures:
        root, found = stored[picture.concept, picture.regularization]
        crop = crops.find(found, crops.name_below(picture.path, root), (picture.width, picture.height))
        cropped.append(replace(picture, crop=crop))
    return replace(scan, pictures=tuple(cropped))


def _list(root: Path, other: str, regularization: bool, may_read: MayRead) -> Listing:
    """List a concept's folder, without the ``other`` one of the same concept. Raises DatasetError."""
    what = "regularization" if regularization else "instance"
    if not root.exists():
        raise DatasetError(f"The {what} folder {printable(root)} does not exist; check its name.")
    if not root.is_dir():
        raise DatasetError(
            f"The {what} folder {printable(root)} is a file; name the folder that contains the pictures."
        )
    excluded = [os.path.realpath(os.path.expanduser(other))] if other else []
    return Listing(root, may_read, excluded)


def _read_folder(listing: Listing, concept: int, regularization: bool, recipe: DatasetRecipe) -> list[Picture]:
    """Read the headers and captions of a folder's pictures; those that can't be used are added to its problems."""
    settings = recipe.concepts[concept]
    times = settings.regularization_repeats if regularization else settings.repeats
    found: list[Picture] = []
    problems = listing.problems
    for file in listing.pictures:
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
        if header.several:
            name = printable(file.path)
            text = f"{name} has several frames, of which the first is trained: save the one you want as PNG."
            problems.append(Problem(file.path, text, False))
        stat = file.entry.stat()
        caption, lines = read_caption(file, recipe, problems)
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
                text_file=file.text_file,
                lines=lines,
            )
        )
    return found


def read_caption(file: ListedPicture, recipe: DatasetRecipe, problems: list[Problem]) -> tuple[str, tuple[str, ...]]:
    """Return the caption from the text file, else from a folder such as ``10_words``, else from the file's name, as
    ``dataset.captions`` says; and the lines of a file whose lines are captions of their own.
    """
    if recipe.captions == "filename":
        return names.caption(file.path.stem), ()
    if file.text_file is not None:
        lines = _read_text(file.text_file, recipe.caption_lines, problems)
        if lines is not None:
            return " ".join(lines), tuple(lines) if len(lines) > 1 and recipe.caption_lines == "choose" else ()
    if file.folder_caption:
        return file.folder_caption, ()
    return (names.caption(file.path.stem) if recipe.captions == "auto" else ""), ()


def _lines(text: str) -> list[str]:
    """Split a text into its lines, without the empty ones, with single spaces."""
    return [found for line in text.replace("\0", " ").splitlines() if (found := " ".join(line.split()))]


def _read_text(path: Path, use: CaptionLines, problems: list[Problem]) -> list[str] | None:
    """Read the lines of a caption that are used, without the empty ones; None where the file isn't a caption. Problems
    are noted, an empty caption too.
    """

    def note(text: str) -> None:
        problems.append(Problem(path, f"{printable(path)} {text}", False))

    try:
        data = read_start(path, CAPTION_BYTES + 1)
    except OSError as error:
        note(f"can't be read ({error.strerror}); its picture is trained without it.")
        return None
    if len(data) > CAPTION_BYTES:
        note(f"is longer than {CAPTION_BYTES // 1024} kB, too long for a caption; shorten it.")
        return None
    if data.startswith(PICTURE_STARTS):
        note("contains a picture, not a caption; give it a picture's extension.")
        return None
    decoded, encoding = text_files.decode(data)
    lines = _lines(decoded)[: 1 if use == "first" else None]
    caption = " ".join(lines)
    if not caption.strip(" ,"):
        caption, lines = "", []
    if not caption:
        note("is empty: its picture is trained without a caption; write one, or delete the file.")
    elif len(lines) > 1 and use == "join":
        note(
            f"has {len(lines):,} lines, which are trained as one caption: if each line is a caption of its own, set "
            "dataset.caption_lines to choose."
        )
    longest = max(map(len, lines), default=0) if use == "choose" else len(caption)
    if longest > LONG_CAPTION:
        note(f"is a caption of {longest:,} characters: every 75 tokens need another pass; shorten it.")
    if caption and any(unicodedata.category(letter) == "Cc" and not letter.isspace() for letter in decoded):
        note("has control characters: they are trained as written; check that it is a text.")
    if "\ufffd" in caption:
        note(f"has letters that can't be read as {encoding.removesuffix('-sig').upper()}; save it as UTF-8.")
    if encoding in ("cp1252", "latin-1"):
        note(f"is not UTF-8 and was read as {encoding}; check its letters and save it as UTF-8.")
    return lines


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
