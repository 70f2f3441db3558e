"""The command line's ``captions`` commands: their arguments. Their work is in ``caption_commands``."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from ..captions.choices import FORMATS, HOW, SOURCES

SHOWN = 10


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to what ``add_subparsers`` returned; ``common`` holds the options that every command has."""
    some = _filters()

    def add(name: str, function: str, help: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(
            name, help=help, description=help, parents=[common, *parents]
        )
        command.set_defaults(command=partial(_work, function))
        command.add_argument("folder", type=Path, help="the folder of pictures")
        return command

    listing = add("filter", "filter", "List the pictures whose captions pass the filter, with their captions.", some)
    listing.add_argument("--names", action="store_true", help="names only, one a line")

    change = add("edit", "edit", "Change many captions at once, and write them. 'captions undo' reverts it.", some)
    _edits(change)

    table = add(
        "tags",
        "tags",
        "Count the tags: how often they occur, at which place, and whether they are in all captions.",
        some,
    )
    table.add_argument("--trigger", default="", help="also count how often each tag occurs together with this")
    table.add_argument("--most", type=int, default=40, help="rows (default: 40)")
    table.add_argument("--json", action="store_true", help="print JSON, for programs")

    pieces = add("tokens", "tokens", "Show captions as the model reads them: tokens, chunks, each word's share.", some)
    pieces.add_argument("--trigger", default="", help="also say what share of the tokens these words have")
    pieces.add_argument("--most", type=int, default=5, help="captions shown in full (default: 5)")

    for name, function, help in (
        ("undo", "undo", "Undo the last edit, also one made in the page, and write the captions as they were."),
        ("redo", "redo", "Redo the edit that was undone last, and write it."),
        ("save", "save", "Write what was edited in the page and isn't saved yet."),
    ):
        add(name, function, help)

    importing = add(
        "import", "import_", "Import captions from another program's file, or from files beside the pictures."
    )
    importing.add_argument("format", choices=FORMATS)
    importing.add_argument("file", type=Path, nargs="?", help="for meta_cap, meta_lat, jsonl and csv")
    importing.add_argument("--how", choices=HOW, default="replace", help="default: replace")
    _dry_run(importing)

    exporting = add("export", "export", "Export the captions for another program.", some)
    exporting.add_argument("format", choices=FORMATS)
    exporting.add_argument("to", type=Path, help="a file, or for txt, caption and names a folder")
    exporting.add_argument("--replace", action="store_true", help="overwrite existing files")
    exporting.add_argument(
        "--resolution", type=int, default=512, help="resolution of the buckets in meta_lat (default: 512)"
    )


def _filters() -> argparse.ArgumentParser:
    """Return the options that select captions; a caption must meet all that are given."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("which captions (default: all; a caption must meet every condition)")
    group.add_argument("--has", action="append", default=[], metavar="TAG", help="has this tag; can be repeated")
    group.add_argument("--any", action="append", default=[], metavar="TAG", help="has one of these; can be repeated")
    group.add_argument("--lacks", action="append", default=[], metavar="TAG", help="has none of these; can be repeated")
    group.add_argument("--text", metavar="TEXT", help="contains this text")
    group.add_argument("--regex", metavar="PATTERN", help="matches this regular expression")
    group.add_argument("--tokens", metavar="FROM..TO", help="has this many tokens, such as 76.. or ..10")
    group.add_argument("--empty", action="store_true", help="is empty")
    group.add_argument("--concept", metavar="SUBFOLDER", help="its picture is in this subfolder")
    group.add_argument("--source", choices=SOURCES, help="where the caption comes from")
    group.add_argument("--copies", action="store_true", help="its picture has a duplicate")
    group.add_argument("--named", metavar="TEXT", help="its picture's name contains this text")
    return parser


def _edits(change: argparse.ArgumentParser) -> None:
    """Add the options that say how captions change; one of them is required."""
    what = change.add_argument_group("what to do (one of these)").add_mutually_exclusive_group(required=True)
    what.add_argument("--add", metavar="TAGS", help="comma-separated")
    what.add_argument("--remove", metavar="TAGS", help="comma-separated")
    what.add_argument("--rename", nargs=2, metavar=("TAG", "TO"), help="a whole tag, everywhere")
    what.add_argument("--replace", nargs=2, metavar=("TEXT", "BY"))
    what.add_argument("--replace-regex", nargs=2, metavar=("PATTERN", "BY"), help=r"groups as \1 or \g<name>")
    what.add_argument("--set", metavar="TEXT", help="replace the whole caption")
    what.add_argument(
        "--trigger-first", metavar="TRIGGER", help="move the trigger to the front; add it where it is missing"
    )
    what.add_argument("--sort", type=int, metavar="KEEP", help="sort tags alphabetically, except the first KEEP")
    for name, help in (
        ("unique", "remove repeated tags"),
        ("spaces", "replace underscores by spaces"),
        ("escape", "escape brackets: \\("),
        ("unescape", "unescape brackets"),
    ):
        what.add_argument(f"--{name}", action="store_true", help=help)
    change.add_argument("--at", default="back", help="where --add puts tags: front, back (default), or a place")
    change.add_argument("--case", action="store_true", help="--replace and --replace-regex are case-sensitive")
    change.add_argument("--words", action="store_true", help="--replace matches whole words only")
    _dry_run(change)


def _dry_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--dry-run", action="store_true", help="only show what would change")
    command.add_argument("--show", type=int, default=SHOWN, help=f"captions shown before and after (default: {SHOWN})")


def _work(function: str, options: argparse.Namespace) -> int:
    from . import caption_commands

    done: int = getattr(caption_commands, function)(options)
    return done
