"""Import and export of captions in the formats of other programs."""

from __future__ import annotations

from collections.abc import Sequence

from ..captions import interchange
from ..captions.choices import FORMATS
from ..captions.entries import Picture
from .caption_answers import MOST_SHOWN, Plain
from .captions import CaptionSets, Selection
from .errors import DeskError
from .folders import Folders

MOST_CONTENT = 64 * 2**20
"""Characters of an imported file."""
NAMED = 20
"""Names of unknown pictures in an answer."""


class CaptionExchange:
    """Import and export for the captions of open folders."""

    def __init__(self, sets: CaptionSets, folders: Folders) -> None:
        self._sets, self._folders = sets, folders

    def import_(
        self,
        selection: Selection,
        format: str,
        content: str,
        how: str,
        *,
        apply: bool,
        preview: str | None,
        since: int | None,
    ) -> Plain:
        """Preview what imported captions would change in a folder, or, with ``apply``, change it.

        ``content`` is a file's text, or empty for formats with a file beside each picture. Raises DeskError,
        CaptionsError.
        """
        found = self._sets.get(selection.folder, selection.opened)
        if format not in FORMATS:
            raise DeskError(f"Captions can be imported as {', '.join(FORMATS)}.")
        if len(content) > MOST_CONTENT:
            raise DeskError(f"The file is larger than {MOST_CONTENT // 2**20} MB; split it.")
        one_file = format in interchange.ONE_FILE
        if one_file and not content.strip():
            raise DeskError("The file is empty; choose another one.")
        unmatched: list[str] = []

        def texts() -> tuple[Sequence[Picture], Sequence[str | None]]:
            pictures = found.in_order
            read = (
                interchange.read_file(format, content, pictures)
                if one_file
                else interchange.read_beside(format, pictures, found.may_read)
            )
            unmatched[:] = read.unmatched
            return pictures, [
                None if text is None else interchange.combine(how, picture.caption, text)
                for picture, text in zip(pictures, read.texts, strict=True)
            ]

        if apply:
            answer = self._sets.edit_texts(found, f"import {format}", texts, preview=preview, since=since)
        else:
            answer = self._sets.preview_texts(found, texts, NAMED, preview)
        return {**answer, "unmatched": len(unmatched), "unmatched_names": unmatched[:NAMED]}

    def export(self, selection: Selection, format: str, to: str, replace: bool, resolution: int) -> Plain:
        """Export a selection's captions as a text to download, or write them into the folder ``to``.

        ``replace`` overwrites files with other content; ``resolution`` is that of the buckets in meta_lat.
        Raises DeskError or CaptionsError.
        """
        found = self._sets.get(selection.folder, selection.opened)
        if format not in FORMATS:
            raise DeskError(f"Captions can be exported as {', '.join(FORMATS)}.")
        pictures = self._sets.select(selection)
        if format in interchange.ONE_FILE:
            content = interchange.format_file(format, pictures, found.root, resolution)
            name, notes = interchange.ONE_FILE[format], interchange.multiline_notes(pictures)
            if not to:
                return {"name": name, "content": content, "count": len(pictures), "notes": notes}
            done = interchange.write_file(self._folders.folder(to) / name, content, replace)
            done.notes.extend(notes)
        elif not to:
            raise DeskError(f"{format} writes a file for each picture: choose a folder.")
        elif format == "names":
            done = interchange.copy_named(pictures, self._folders.folder(to), replace)
        else:
            place = self._folders.folder(to)
            self._folders.check_links(place)
            done = interchange.write_beside(format, pictures, place, replace)
        return {"written": done.written, "left": done.left[:MOST_SHOWN], "notes": done.notes}
