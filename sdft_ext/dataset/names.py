"""Parse file and folder names: repeats, captions, numbering, masks."""

from __future__ import annotations

import re

_KOHYA = re.compile(r"(\d{1,3})_(.*)", re.DOTALL)
_YEAR_LIKE = re.compile(r"\d{4,}_")
_LEADING = re.compile(r"(?:(?:\d+[-_.]+\s*)|(?:(?:0\d*|\d{3,})\s+))+|\d+$")
_TRAILING = re.compile(r"(?:\s*\(\d+\)|[-_#]\d+)+$")
_CAMERA = re.compile(
    r"(?:(?:img|dsc|dscn|dscf|pxl|mvimg|p|gopr|image|images|photo|photos|picture|pic|screenshot|scan|file|frame|untitled|download)"
    r"[-_ ()\d]*)|(?:\d+[-_ x]*)*",
    re.IGNORECASE,
)
_HASH = re.compile(r"(?=[^ ]*\d)[0-9a-f]{8,}(?:-[0-9a-f]{4,})*", re.IGNORECASE)
_MASK = re.compile(r"(.+)-mask(label)?", re.DOTALL | re.IGNORECASE)


def kohya(folder: str) -> tuple[int, str] | None:
    """Parse a kohya folder name, ``10_sks dog`` → (10, "sks dog"): repeats and caption; None for any other name.

    Numbers of more than three digits are years and dates, not repeats.
    """
    match = _KOHYA.fullmatch(folder)
    return (int(match[1]), _readable(match[2]).strip()) if match else None


def looks_dated(folder: str) -> bool:
    """Return whether a name is like ``2023_holiday``, which other trainers would repeat 2,023 times."""
    return _YEAR_LIKE.match(folder) is not None


def caption(stem: str) -> str:
    """Make a caption of a file's stem: ``00012-3-a red dog (2)`` → ``a red dog``.

    Removed are leading numbers with the punctuation or (from three digits, or with a leading 0) the space after them,
    and ``(2)``, ``-2`` or ``_2`` at the end. Underscores become spaces if the name has no spaces. Names that a camera
    or a program gave (``IMG_1234``, a hash) give an empty caption.
    """
    stem = _readable(stem)
    if _CAMERA.fullmatch(stem) or _HASH.fullmatch(stem):
        return ""
    text = _TRAILING.sub("", _LEADING.sub("", stem, count=1) if _LEADING.match(stem) else stem).strip()
    if _CAMERA.fullmatch(text) or _HASH.fullmatch(text):
        return ""
    if " " not in text:
        text = text.replace("_", " ")
    return " ".join(text.split()).strip(" -_.,")


def _readable(name: str) -> str:
    """Remove undecodable bytes, which neither text files nor tokenizers accept."""
    return name.encode("utf-8", "ignore").decode("utf-8")


def mask_of(stem: str) -> str | None:
    """Return the stem of the picture that a mask is for, ``dog-mask`` → ``dog``; None for any other name.

    OneTrainer's ``dog-masklabel`` is a mask too.
    """
    match = _MASK.fullmatch(stem)
    return match[1] if match else None


def is_mask_label(stem: str) -> bool:
    """Return whether a mask has the name that OneTrainer gives: ``dog-masklabel``."""
    match = _MASK.fullmatch(stem)
    return match is not None and match[2] is not None
