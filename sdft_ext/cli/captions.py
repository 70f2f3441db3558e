"""The command line's ``captions`` commands: how they are called. What they do is in ``caption_commands``."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from ..captions.choices import FORMATS, HOW, SOURCES

SHOWN = 10


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add them to what ``add_subparsers`` returned; ``common`` holds the options that every command has."""
    some = _filters()

    def add(name: str, function: str, help: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = commands.add_parser(
            name, help=help, description=help, parents=[common, *parents]
        )
        command.set_defaults(command=partial(_work, function))
        command.add_argument("folder", type=Path, help="the folder of pictures")
        return command

    listing = add("filter", "filter", "List the pictures whose captions pass, with their captions.", some)
    listing.add_argument("--names", action="store_true", help="names only, one a line")

    change = add("edit", "edit", "Change many captions at once, and write them. Undo takes it back.", some)
    _edits(change)

    table = add("tags", "tags", "Count the tags: how often, where, and whether they stand in all captions.", some)
    table.add_argument("--trigger", default="", help="count how often each tag stands beside it")
    table.add_argument("--most", type=int, default=40, help="rows (default: 40)")
    table.add_argument("--json", action="store_true", help="for programs")

    pieces = add("tokens", "tokens", "Show captions as the model reads them: tokens, chunks, each part's share.", some)
    pieces.add_argument("--most", type=int, default=5, help="captions shown in full (default: 5)")

    for name, function, help in (
        ("undo", "undo", "Take the last edit back, also one of the page, and write the captions as they were."),
        ("redo", "redo", "Do again what was undone last, and write it."),
        ("save", "save", "Write what was edited in the page and isn't saved yet."),
    ):
        add(name, function, help)

    coming = add(
        "import", "import_", "Take captions from a file of another program, or from files beside the pictures."
    )
    coming.add_argument("format", choices=FORMATS)
    coming.add_argument("file", type=Path, nargs="?", help="for meta_cap, meta_lat, jsonl and csv")
    coming.add_argument("--how", choices=HOW, default="replace", help="default: replace")
    _careful(coming)

    going = add("export", "export", "Write the captions for another program.", some)
    going.add_argument("format", choices=FORMATS)
    going.add_argument("to", type=Path, help="a file, or for txt, caption and names a folder")
    going.add_argument("--replace", action="store_true", help="overwrite files that are there")
    going.add_argument("--resolution", type=int, default=512, help="of the buckets in meta_lat (default: 512)")


def _filters() -> argparse.ArgumentParser:
    """Options that say which captions are meant; all that are given must hold."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("which captions (all by default; what is given must all hold)")
    group.add_argument("--has", action="append", default=[], metavar="TAG", help="holds this tag; may be given again")
    group.add_argument("--any", action="append", default=[], metavar="TAG", help="holds one of these")
    group.add_argument("--lacks", action="append", default=[], metavar="TAG", help="holds none of these")
    group.add_argument("--text", metavar="TEXT", help="holds this text")
    group.add_argument("--regex", metavar="PATTERN", help="matches this regular expression")
    group.add_argument("--tokens", metavar="FROM..TO", help="has so many tokens, such as 76.. or ..10")
    group.add_argument("--empty", action="store_true", help="has no words")
    group.add_argument("--concept", metavar="SUBFOLDER", help="its picture lies there")
    group.add_argument("--source", choices=SOURCES, help="where the caption is from")
    group.add_argument("--copies", action="store_true", help="its picture shows the same as another one")
    group.add_argument("--named", metavar="TEXT", help="the picture's name holds this")
    return parser


def _edits(change: argparse.ArgumentParser) -> None:
    """Options that say how captions change; one of them is needed."""
    what = change.add_argument_group("what to do (one of these)").add_mutually_exclusive_group(required=True)
    what.add_argument("--add", metavar="TAGS", help="comma-separated")
    what.add_argument("--remove", metavar="TAGS", help="comma-separated")
    what.add_argument("--rename", nargs=2, metavar=("TAG", "TO"), help="a whole tag, everywhere")
    what.add_argument("--replace", nargs=2, metavar=("TEXT", "BY"))
    what.add_argument("--replace-regex", nargs=2, metavar=("PATTERN", "BY"), help=r"groups as \1 or \g<name>")
    what.add_argument("--set", metavar="TEXT", help="the whole caption")
    what.add_argument("--trigger-first", metavar="TRIGGER", help="the trigger in front; added where it is missing")
    what.add_argument("--sort", type=int, metavar="KEEP", help="by the alphabet, the first KEEP tags stay")
    for name, help in (
        ("unique", "remove doubled tags"),
        ("spaces", "underscores to spaces"),
        ("escape", "brackets as \\("),
        ("unescape", "brackets as they were"),
    ):
        what.add_argument(f"--{name}", action="store_true", help=help)
    change.add_argument("--at", default="back", help="where --add puts tags: front, back (default), or a place")
    change.add_argument("--case", action="store_true", help="capitals matter to --replace and --replace-regex")
    change.add_argument("--words", action="store_true", help="--replace finds whole words only")
    _careful(change)


def _careful(command: argparse.ArgumentParser) -> None:
    command.add_argument("--dry-run", action="store_true", help="only say what would change")
    command.add_argument("--show", type=int, default=SHOWN, help=f"captions shown before and after (default: {SHOWN})")


def _work(function: str, options: argparse.Namespace) -> int:
    from . import caption_commands

    done: int = getattr(caption_commands, function)(options)
    return done
