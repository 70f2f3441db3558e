"""The work of the command line's ``captions`` commands: show, count and edit a folder's captions, with undo."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..captions import edits, frequency, interchange, reading
from ..captions.budget import percent
from ..captions.entries import EditPlan, EditResult, Picture, SaveResult
from ..captions.errors import CaptionsError
from ..captions.filters import FilterContext, filter_pictures
from ..captions.planning import plan_edit
from ..captions.store import CaptionStore
from ..storage.text import printable, quantity
from .signals import FAILED, OK


def _filter_spec(options: argparse.Namespace) -> dict[str, Any]:
    """Build a filter from the options, in the API's form."""
    parts: list[dict[str, Any]] = [{"tag": tag} for tag in options.has]
    if options.any:
        parts.append({"any": [{"tag": tag} for tag in options.any]})
    parts += [{"not": {"tag": tag}} for tag in options.lacks]
    for key, name in (
        ("text", "text"),
        ("regex", "regex"),
        ("concept", "concept"),
        ("source", "source"),
        ("named", "name"),
    ):
        if getattr(options, key) is not None:
            parts.append({name: getattr(options, key)})
    if options.tokens:
        least, dots, most = options.tokens.partition("..")
        if not dots or not (least + most).isdigit():
            raise CaptionsError(f"--tokens is {options.tokens!r}; write it as 10..75, 76.. or ..10.")
        parts.append({"tokens": {"least": int(least or 0), "most": int(most) if most else None}})
    parts += [{name: True} for name in ("empty", "copies") if getattr(options, name)]
    return {"all": parts}


def _chosen(found: CaptionStore, options: argparse.Namespace) -> list[Picture]:
    copies = _duplicates(found) if options.copies else None
    return filter_pictures(_filter_spec(options), found.in_order, FilterContext(reading.Counter().counts, copies))


def _duplicates(found: CaptionStore) -> frozenset[int]:
    """Return the ids of the pictures that have duplicates."""
    from ..analysis.duplicates import duplicates
    from ..analysis.thumbnails import make_thumbnails
    from ..dataset.folder import scan
    from ..recipe import Concept, DatasetRecipe
    from ..watch.progress import Progress

    pictures = scan(DatasetRecipe(concepts=[Concept(instance=str(found.root))])).pictures
    progress = Progress()
    thumbnails = make_thumbnails(pictures, progress=lambda *done: progress.show("Comparing", *done))
    progress.end()
    paths = {pictures[thumbnails.pictures[row]].path for group in duplicates(thumbnails) for row in group.rows}
    return frozenset(picture.id for picture in found.in_order if picture.path in paths)


def filter(options: argparse.Namespace) -> int:
    found = _open(options.folder)
    some = _chosen(found, options)
    for picture in some:
        print(printable(picture.name) if options.names else f"{printable(picture.name)}: {_line(picture.caption)}")
    if not options.names:
        print(f"{len(some):,} of {quantity(len(found.pictures), 'picture')}.")
    return OK


def edit(options: argparse.Namespace) -> int:
    chosen = edits.parse_edit(_edit_spec(options))
    found = _open(options.folder)

    def plan() -> EditPlan:
        pictures = _chosen(found, options)
        return plan_edit(pictures, chosen.apply([picture.caption for picture in pictures]))

    return _apply(found, chosen.what, plan, options)


def _edit_spec(options: argparse.Namespace) -> dict[str, Any]:
    """Build an edit from the options, in the API's form."""
    if options.add is not None:
        at = options.at if options.at in ("front", "back") else _number("--at", options.at)
        return {"do": "add", "tags": [options.add], "where": at}
    if options.remove is not None:
        return {"do": "remove", "tags": [options.remove]}
    if options.rename:
        return {"do": "rename", "tag": options.rename[0], "to": options.rename[1]}
    if options.replace:
        find, by = options.replace
        return {"do": "replace", "find": find, "with": by, "case": options.case, "words": options.words}
    if options.replace_regex:
        return {
            "do": "regex",
            "find": options.replace_regex[0],
            "with": options.replace_regex[1],
            "case": options.case,
        }
    if options.set is not None:
        return {"do": "set", "text": options.set}
    if options.trigger_first is not None:
        return {"do": "trigger_first", "trigger": options.trigger_first, "add": True}
    if options.sort is not None:
        return {"do": "sort", "keep": options.sort}
    return {"do": next(name for name in ("unique", "spaces", "escape", "unescape") if getattr(options, name))}


def _apply(found: CaptionStore, what: str, plan: Any, options: argparse.Namespace) -> int:
    """Show what an edit changes and, except in a dry run, apply and write it."""
    outcome = plan()
    before = {caption.name: caption.caption for caption in (picture.entry for picture in found.in_order)}
    for name, _, after in outcome.changes[: options.show]:
        print(f"{printable(name)}\n  - {_line(before[name])}\n  + {_line(after or '')}")
    if len(outcome.changes) > options.show:
        print(f"… and {len(outcome.changes) - options.show:,} more.")
    if options.dry_run:
        print("\n".join([*outcome.notes, f"{quantity(len(outcome.changes), 'caption')} would change."]))
        return OK
    names = {name for name, _, _ in outcome.changes}
    done = found.edit(what, plan)
    return _written(found, done, [picture for picture in found.in_order if picture.entry.name in names])


def undo(options: argparse.Namespace) -> int:
    return _undo_or_redo(options, back=True)


def redo(options: argparse.Namespace) -> int:
    return _undo_or_redo(options, back=False)


def _undo_or_redo(options: argparse.Namespace, back: bool) -> int:
    found = _open(options.folder)
    before = found.revision
    done = found.undo() if back else found.redo()
    print(f"{'Undone' if back else 'Redone'}: {done.what}.")
    return _written(found, done, found.changed_since(before))


def save(options: argparse.Namespace) -> int:
    found = _open(options.folder)
    return _report_saved(found.save(), ())


def _written(found: CaptionStore, done: EditResult, pictures: Sequence[Picture]) -> int:
    if not pictures:
        print("\n".join([*done.notes, "Nothing changed."]))
        return OK
    return _report_saved(found.save(pictures), done.notes)


def _report_saved(saved: SaveResult, notes: Sequence[str]) -> int:
    for text in (*notes, *saved.notes):
        print(text)
    for _, text in saved.failed:
        print(f"sdft: {text}", file=sys.stderr)
    for name in saved.conflicts:
        print(
            f"sdft: {printable(name)} was changed by another program too, and was left as that program wrote it; open "
            "the folder in the page to choose, or undo.",
            file=sys.stderr,
        )
    print(f"{saved.count:,} caption file{'' if saved.count == 1 else 's'} written.")
    return FAILED if saved.failed or saved.conflicts else OK


def tags(options: argparse.Namespace) -> int:
    found = _open(options.folder)
    table = frequency.count_tags([picture.caption for picture in _chosen(found, options)], options.trigger)
    if options.json:
        rows = [{**vars(row), "share": row.count / table.captions} for row in table.tags]
        print(json.dumps({"captions": table.captions, "tags": rows, "text": table.text}, indent=2, ensure_ascii=False))
        return OK
    trigger_column = "  with trigger" if options.trigger else ""
    print(f"  count   share  place{trigger_column}  tag")
    for row in table.tags[: max(options.most, 0)]:
        together = f"{row.with_trigger / row.count:14.0%}" if options.trigger else ""
        mark = "  (in all)" if row.fused else ""
        print(
            f"{row.count:7,} {row.count / table.captions:7.1%} {row.position:6.1f}{together}  "
            f"{printable(row.tag)}{mark}"
        )
    print(f"{quantity(len(table.tags), 'different tag')} in {quantity(table.captions, 'caption')}.")
    if table.text:
        print(table.text)
    return OK


def tokens(options: argparse.Namespace) -> int:
    found = _open(options.folder)
    some = _chosen(found, options)
    counts = reading.Counter().counts([picture.caption for picture in some])
    for picture in some[: max(options.most, 0)]:
        read = reading.read(picture.caption, options.trigger)
        chunks = quantity(len(read.chunks), "chunk")
        print(f"{printable(picture.name)}: {quantity(read.count, 'token')} in {chunks} of 75, {read.strategy}")
        for number, chunk in enumerate(read.chunks, 1):
            print(f"  chunk {number}: {' '.join(printable(piece.text) for piece in chunk)}")
        for part in read.parts if len(read.parts) > 1 else ():
            print(f"  {part.share:6.1%}  {printable(part.text)}")
        if read.words:
            print(f"  each word: {'  '.join(f'{printable(w.text)} {percent(w.share)}' for w in read.words)}")
        if read.budget:
            print(f"  {read.budget}")
        for sentence in read.advice:
            print(f"  {sentence}")
    if counts:
        print(
            f"{quantity(len(counts), 'caption')}: {min(counts)} to {max(counts)} tokens, "
            f"{sum(counts) / len(counts):.1f} on "
            f"average, {sum(count > reading.CHUNK for count in counts):,} longer than {reading.CHUNK}."
        )
    else:
        print("No caption passes the filter.")
    return OK


def import_(options: argparse.Namespace) -> int:
    one_file = options.format in interchange.ONE_FILE
    if one_file != (options.file is not None):
        raise CaptionsError(
            f"{options.format} is a single file: give its path."
            if one_file
            else f"{options.format} is read from files beside the pictures: give no file."
        )
    found = _open(options.folder)
    content = interchange.read_list(options.file) if one_file else b""
    unmatched: list[str] = []

    def plan() -> EditPlan:
        pictures = found.in_order
        read = (
            interchange.read_file(options.format, content, pictures, options.file)
            if one_file
            else interchange.read_beside(options.format, pictures, found.may_read)
        )
        unmatched[:] = read.unmatched
        texts = [
            None if text is None else interchange.combine(options.how, picture.caption, text)
            for picture, text in zip(pictures, read.texts, strict=True)
        ]
        return plan_edit(pictures, texts)

    code = _apply(found, f"import {options.format}", plan, options)
    if unmatched:
        print(
            f"{quantity(len(unmatched), 'name matches', 'names match')} no picture here, such as "
            f"{', '.join(map(printable, unmatched[:3]))}."
        )
    return code


def export(options: argparse.Namespace) -> int:
    found = _open(options.folder)
    some = _chosen(found, options)
    if options.format in interchange.ONE_FILE:
        to = options.to / interchange.ONE_FILE[options.format] if options.to.is_dir() else options.to
        content = interchange.format_file(options.format, some, found.root, options.resolution)
        done = interchange.write_file(to, content, options.replace)
    elif options.format == "names":
        done = interchange.copy_named(some, options.to, options.replace)
    else:
        done = interchange.write_beside(options.format, some, options.to, options.replace)
    for note in done.notes:
        print(note)
    if done.left:
        left = ", ".join(printable(name) for name in done.left[:3])
        print(
            f"sdft: {quantity(len(done.left), 'file exists', 'files exist')} with other content ({left}); --replace "
            f"overwrites {'it' if len(done.left) == 1 else 'them'}.",
            file=sys.stderr,
        )
    print(f"{done.written:,} file{'' if done.written == 1 else 's'} written.")
    return FAILED if done.left else OK


def _open(folder: Path) -> CaptionStore:
    found = CaptionStore(folder)
    for text in found.problems[:10]:
        print(f"sdft: note: {text}", file=sys.stderr)
    return found


def _number(option: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise CaptionsError(f"{option} is {text!r}; write front, back, or a whole number.") from error


def _line(caption: str) -> str:
    return printable(" ".join(caption.split()))
