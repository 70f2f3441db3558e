"""Work out which captions an edit would change, and say which it skips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..dataset.folder import CAPTION_BYTES
from . import files
from .entries import EditPlan, Picture, count_captions, some_names
from .errors import CaptionsError
from .journal_lines import Change


def plan_edit(pictures: Sequence[Picture], texts: Sequence[str | None]) -> EditPlan:
    """Plan to give these pictures these texts; None leaves a caption as it is.

    Raises CaptionsError where no picture can have its text.
    """
    changes: dict[str, Change] = {}
    skipped = _Skipped()
    for picture, text in zip(pictures, texts, strict=True):
        entry = picture.entry
        if text is None or entry.name in changes or text == entry.caption:
            continue
        try:
            new = cleaned(text)
        except CaptionsError as error:
            skipped.invalid.append(picture.name)
            skipped.reason = skipped.reason or str(error)
            continue
        if new != entry.caption and not skipped.skips(picture, new):
            changes[entry.name] = (entry.name, entry.text, new)
    if skipped.invalid and len(skipped.invalid) == len(pictures):
        raise CaptionsError(f"{some_names(skipped.invalid)}: {skipped.reason}")
    return EditPlan(tuple(changes.values()), tuple(skipped.notes()))


def cleaned(text: str) -> str:
    """Return a text as a caption file can hold it. Raises CaptionsError where it can't."""
    if "\0" in text:
        raise CaptionsError("A caption can't contain a NUL character; remove it.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CaptionsError(
            "A caption contains half a character (a lone surrogate); type the character again."
        ) from error
    return files.unified(text).rstrip().lstrip("\ufeff")


@dataclass
class _Skipped:
    """Pictures whose captions stay as they are, by the reason; ``reason`` is why the first text was ``invalid``."""

    invalid: list[str] = field(default_factory=list)
    reason: str = ""
    long: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    conflicts: int = 0

    def skips(self, picture: Picture, text: str) -> bool:
        """Note a picture whose caption can't become ``text``."""
        if picture.entry.locked:
            self.locked.append(picture.name)
        elif picture.entry.conflict:
            self.conflicts += 1
        elif len(text.encode("utf-8", "surrogatepass")) > CAPTION_BYTES:
            self.long.append(picture.name)
        else:
            return False
        return True

    def notes(self) -> list[str]:
        found = []
        if self.invalid:
            found.append(
                f"{count_captions(len(self.invalid))} can't be changed like this ({some_names(self.invalid)}): "
                f"{self.reason}"
            )
        if self.long:
            found.append(
                f"{count_captions(len(self.long))} would be longer than {CAPTION_BYTES // 1024} kB, the most that is "
                f"read, "
                f"and stay unchanged ({some_names(self.long)}): shorten them."
            )
        if self.locked:
            found.append(
                f"{count_captions(len(self.locked))} can't be edited ({some_names(self.locked)}): the folder's "
                f"problems say why."
            )
        if self.conflicts:
            found.append(
                f"{count_captions(self.conflicts)} {'was' if self.conflicts == 1 else 'were'} also changed by another "
                "program: choose first whose text to keep."
            )
        return found
