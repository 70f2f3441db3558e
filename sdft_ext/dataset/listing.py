"""List the files of a dataset's folder: pictures with their captions and masks. No picture or caption is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import SdftError
from ..storage.regular_file import read_start
from ..storage.text import printable
from . import links, names, pairing, pictures
from .links import MayRead
from .pairing import CAPTION_ENDINGS

SKIPPED_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin"})
MASK_FOLDERS = frozenset({"mask", "masks"})
PICTURE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
"""First bytes of pictures."""


class DatasetError(SdftError, ValueError):
    """A dataset can't be trained on; the message names the folder, what is wrong, and what to do."""


@dataclass(frozen=True)
class Problem:
    """A problem with a file, in one sentence. ``skipped``: the file isn't trained on."""

    path: Path
    text: str
    skipped: bool


@dataclass(frozen=True)
class ListedPicture:
    """A picture file that wasn't opened. ``text_file``: its caption file, or None; ``fallback``: the caption where
    there is none, from the folder's name (``from_folder``) or its own.
    """

    path: Path
    entry: os.DirEntry[str]
    text_file: Path | None
    mask: Path | None
    repeats: int
    folder_caption: str

    @property
    def fallback(self) -> str:
        return self.folder_caption or names.caption(self.path.stem)

    @property
    def from_folder(self) -> bool:
        return bool(self.folder_caption)


class Listing:
    """A folder's picture files, in order of name. Linked folders are followed, but each only once.

    ``problems``: sentences about files that are left out or need attention. ``unused_texts``: caption files that belong
    to no picture. ``may_read``: which places links may lead to.
    """

    def __init__(self, root: Path, may_read: MayRead, excluded: Sequence[str] = ()) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self.unused_texts: list[Path] = []
        self.folders: list[Path] = []
        self._may_read = may_read
        self._seen = set(excluded) - {os.path.realpath(root)}
        # 0 repeats don't count in the name of the dataset's folder itself.
        parsed = names.kohya(root.resolve().name)
        self.pictures = list(self._walk(root, parsed if parsed is not None and parsed[0] else (1, "")))

    def _walk(self, folder: Path, inherited: tuple[int, str]) -> Iterator[ListedPicture]:
        real = os.path.realpath(folder)
        if real in self._seen:
            return
        self._seen.add(real)
        try:
            with os.scandir(folder) as entries:
                listed = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
        except OSError as error:
            self._skip(folder, f"{printable(folder)} can't be listed ({error.strerror}) and is left out.")
            return
        self.folders.append(folder)
        files, folders = self._sorted_out(folder, listed)
        yield from self._files(folder, files, inherited)
        for entry in folders:
            if entry.name.lower() in SKIPPED_FOLDERS:
                continue
            path = folder / entry.name
            parsed = names.kohya(entry.name)
            if parsed is not None and parsed[0] == 0:
                self._skip(path, f"{printable(path)} has 0 repeats in its name; its pictures are left out.")
                continue
            if parsed is None and names.looks_dated(entry.name):
                self._remark(
                    path, f"{printable(path)} starts with a number of four digits or more, which isn't read as repeats."
                )
            if entry.name.lower() in MASK_FOLDERS:
                self._remark(
                    path,
                    f"The pictures in {printable(path)} are trained like all others: if they are masks, save each as "
                    "NAME-mask.png next to its picture.",
                )
            yield from self._walk(path, parsed or inherited)

    def _sorted_out(
        self, folder: Path, listed: Sequence[os.DirEntry[str]]
    ) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
        """Return the files and the folders among a folder's entries, without those that can't or mustn't be read."""
        files, folders = [], []
        for entry in listed:
            path = folder / entry.name
            try:
                if entry.is_symlink() and not self._may_read(Path(os.path.realpath(path, strict=True))):
                    self._skip(path, links.left_out(path))
                elif entry.is_dir():
                    folders.append(entry)
                    self._remark_folder(path)
                elif entry.is_file():
                    files.append(entry)
                else:
                    self._skip(
                        path, f"{printable(path)} is a pipe, device or socket, not a file, and is left out: remove it."
                    )
            except OSError as error:
                self._skip(
                    path, f"{printable(path)} leads nowhere ({error.strerror}) and is left out: remove or replace it."
                )
        return files, folders

    def _files(
        self, folder: Path, entries: Sequence[os.DirEntry[str]], inherited: tuple[int, str]
    ) -> Iterator[ListedPicture]:
        """Yield the picture files among one folder's entries, with their caption and mask files."""
        texts: list[str] = []
        others: set[str] = set()
        found: dict[str, os.DirEntry[str]] = {}
        for entry in entries:
            stem, ending = os.path.splitext(entry.name)
            ending = ending.lower()
            path = folder / entry.name
            if ending in CAPTION_ENDINGS:
                texts.append(entry.name)
                continue
            others.add(stem)
            if ending in pictures.UNREADABLE:
                text = f"{printable(path)} has a format that can't be read here ({ending}); save it as JPEG or PNG."
                self._skip(path, text)
            elif not stem.lower().endswith(".preview") and (
                ending in pictures.EXTENSIONS or _starts_like_picture(path)
            ):
                found[entry.name] = entry
        masks = self._masks(folder, list(found))
        own = [name for name in found if name not in masks]
        mask_of = {stem: folder / name for name, stem in masks.items()}
        captions, unused = pairing.captions(own, texts, others)
        self.unused_texts += [folder / name for name in unused]
        for name, other in pairing.doubles(texts, captions, unused).items():
            self._remark(
                folder / name,
                f"{printable(folder / name)} isn't read, because {printable(other)} is the caption of the same "
                "picture: remove one of them.",
            )
        repeats, folder_caption = inherited
        for name in own:
            text_file = folder / captions[name] if name in captions else None
            mask = mask_of.get(os.path.splitext(name)[0])
            yield ListedPicture(folder / name, found[name], text_file, mask, repeats, folder_caption)

    def _masks(self, folder: Path, files: Sequence[str]) -> dict[str, str]:
        """Return the masks among a folder's picture files, each with the stem of its picture; remark lone ones."""
        found = pairing.masks(files)
        for name in files:
            base = names.mask_of(os.path.splitext(name)[0])
            if base is not None and name not in found:
                self._remark(
                    folder / name,
                    f"{printable(folder / name)} is named like a mask, but no picture is called {printable(base)}, so "
                    "it is trained as a picture: if it is a mask, rename or remove it.",
                )
        return found

    def _remark_folder(self, path: Path) -> None:
        """Remark a folder whose name is that of a file."""
        ending = path.suffix.lower()
        if ending in CAPTION_ENDINGS or ending in pictures.EXTENSIONS:
            what = "caption" if ending in CAPTION_ENDINGS else "picture"
            self._remark(
                path, f"{printable(path)} is a folder, not a {what}: rename it, or put the {what} itself in its place."
            )

    def _skip(self, path: Path, text: str) -> None:
        self.problems.append(Problem(path, text, True))

    def _remark(self, path: Path, text: str) -> None:
        self.problems.append(Problem(path, text, False))


def list_pictures(root: Path, may_read: MayRead | None = None) -> Listing:
    """List the picture files that a scan would find in a folder; no picture or caption is read.

    ``may_read``: which places links may lead to; by default only the folder itself. Raises DatasetError where the
    folder is missing.
    """
    if not root.is_dir():
        raise DatasetError(f"The folder {printable(root)} is gone or not a folder; put it back, or choose another one.")
    return Listing(root, may_read or links.within([root]))


def unused_text(files: Sequence[Path]) -> str:
    """Return the sentence about caption files that belong to no picture."""
    one = len(files) == 1
    some = ", ".join(printable(path.name) for path in files[:3]) + (" …" if len(files) > 3 else "")
    return (
        f"{len(files):,} text file{'' if one else 's'} ({some}) {'has' if one else 'have'} no picture of the same "
        f"name: rename or remove {'it' if one else 'them'}."
    )


def _starts_like_picture(path: Path) -> bool:
    """Return whether a file with an unknown extension (``.jpg_large``) or none is a picture."""
    try:
        start = read_start(path, 16)
    except OSError:
        return False
    web = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    return start.startswith(PICTURE_STARTS) or web or start[4:12] == b"ftypavif"
