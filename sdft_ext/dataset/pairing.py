"""Match captions and masks to their pictures by name, where the names are spelled alike but not equal, too.

Names are equal for people that aren't for a file system: letters with marks may be one character or two (macOS and
some archives take them apart), and Windows doesn't distinguish capitals.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from .names import is_mask_label, mask_of

CAPTION_ENDINGS = (".txt", ".caption")
"""Extensions of caption files; the first is used where a picture has both."""
NO_CAPTIONS = frozenset({"readme", "license", "licence", "info", "prompts"})
"""Stems of text files that are no captions."""


def match(names: Collection[str], owners: Collection[str]) -> dict[str, str]:
    """Return the owner of each name: an equal one, or else the only one that is spelled alike."""
    found = {name: name for name in names if name in owners}
    spellings: tuple[Callable[[str], str], ...] = (_composed, _folded)
    for spelled in spellings:
        taken = set(found.values())
        free = _grouped([owner for owner in owners if owner not in taken], spelled)
        for spelling, alike in _grouped([name for name in names if name not in found], spelled).items():
            if len(alike) == 1 and len(free.get(spelling, ())) == 1:
                found[alike[0]] = free[spelling][0]
    return found


def captions(
    pictures: Sequence[str], texts: Sequence[str], others: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """Match the caption files of one folder: return each picture's caption file, and the files that nothing uses.

    ``pictures`` and ``texts`` are file names, ``others`` the stems of further files, which texts may belong to.
    ``dog.jpg.txt`` belongs to ``dog.jpg`` where no other picture is called ``dog``.
    """
    stems = Counter(_stem(name) for name in pictures)
    by_name: dict[tuple[str, str], str] = {}
    for name in texts:
        stem, ending = os.path.splitext(name)
        by_name[stem, ending.lower()] = name
    text_stems = sorted({stem for stem, _ in by_name})
    by_stem = {owner: stem for stem, owner in match(text_stems, stems).items()}
    left = [stem for stem in text_stems if stem not in by_stem.values()]
    by_whole = {owner: stem for stem, owner in match(left, [n for n in pictures if stems[_stem(n)] == 1]).items()}
    found = {}
    for picture in pictures:
        own = by_stem.get(_stem(picture), by_whole.get(picture))
        if own is not None:
            found[picture] = next(by_name[own, ending] for ending in CAPTION_ENDINGS if (own, ending) in by_name)
    used = {_stem(name) for name in found.values()}
    unused = [name for name in texts if (stem := _stem(name)) not in used and stem not in others]
    return found, [name for name in unused if _stem(name).lower() not in NO_CAPTIONS]


def doubles(texts: Sequence[str], used: Mapping[str, str], unused: Collection[str]) -> dict[str, str]:
    """Return the caption files of pictures that have another one: each with the one that is used."""
    by_stem = {_folded(_stem(name)): name for name in used.values()}
    left = [name for name in texts if name not in used.values() and name not in unused]
    return {name: by_stem[_folded(_stem(name))] for name in left if _folded(_stem(name)) in by_stem}


def masks(files: Sequence[str]) -> dict[str, str]:
    """Return the masks among one folder's picture files, each with the stem of its picture.

    They are in the order of their worth: of several masks of a picture, the last counts, and OneTrainer's only where
    there is no other.
    """
    wanted = {name: base for name in files if (base := mask_of(_stem(name))) is not None}
    stems = {_stem(name) for name in files}
    owners = match(set(wanted.values()), stems - {_stem(name) for name in wanted})
    owners |= {base: base for base in wanted.values() if base in stems}  # a mask of a mask isn't a picture either
    order = sorted(wanted, key=lambda name: (not is_mask_label(_stem(name)), name))
    return {name: owners[wanted[name]] for name in order if wanted[name] in owners}


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _grouped(names: Collection[str], spelled: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(spelled(name), []).append(name)
    return groups
