"""The command line's ``tools`` commands: merge, extract, resize, convert and inspect finished files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, get_args

from ..recipe import Precision
from .signals import FAILED, OK, UNKNOWN

PRECISIONS = get_args(Precision)


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to what ``add_subparsers`` returned; ``common`` holds the options that every command has."""

    def add(name: str, help: str) -> argparse.ArgumentParser:
        return _command(commands, common, name, help)

    merge = add("merge", "Merge LoRA, LoHa, LoKr or DoRA files into a checkpoint, tensor by tensor.")
    merge.set_defaults(command=_work, tool="merge", doing="Merging")
    merge.add_argument("base", metavar="BASE", type=Path, help="checkpoint or diffusers folder")
    _loras(merge)
    _target(merge)
    merge.add_argument("--precision", choices=PRECISIONS, help="default: each tensor as in the base")

    extract = add("extract", "Extract the LoRA between two checkpoints.")
    extract.set_defaults(command=_work, tool="extract", doing="Extracting")
    extract.add_argument("base", metavar="BASE", type=Path, help="checkpoint or diffusers folder")
    extract.add_argument("tuned", metavar="TUNED", type=Path, help="the checkpoint that was trained from it")
    _target(extract)
    _size(extract, "; neither: full rank")

    resize = add("resize", "Write a LoRA at another rank; a LoHa or LoKr becomes a LoRA.")
    resize.set_defaults(command=_work, tool="resize", doing="Resizing")
    resize.add_argument("source", metavar="LORA", type=Path)
    _target(resize)
    _size(resize, "")

    together = add("merge-loras", "Write one LoRA whose effect is the sum of several, exactly or at a rank.")
    together.set_defaults(command=_work, tool="merge-loras", doing="Merging")
    _loras(together)
    _target(together)
    _size(together, "; neither: exact, with the sum of the ranks")

    metadata = add("metadata", "Show the contents and the metadata of a .safetensors file.")
    metadata.set_defaults(command=_metadata)
    metadata.add_argument("file", metavar="FILE", type=Path)
    metadata.add_argument("--json", action="store_true", help="print JSON, for programs")

    add_checkpoint_commands(commands, common)


def add_checkpoint_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the two commands that an old checkpoint needs first: ``scan`` and ``convert``."""
    text = (
        "List what a .ckpt would import, without running any of it. Exit code 1: something dangerous; 3: not known to "
        "be harmless."
    )
    scan = _command(commands, common, "scan", text)
    scan.set_defaults(command=_scan)
    scan.add_argument("file", metavar="FILE", type=Path)

    text = "Convert a .ckpt to .safetensors, a diffusers folder to a single file, or a single file to a folder."
    convert = _command(commands, common, "convert", text)
    convert.set_defaults(command=_work, tool="convert", doing="Converting")
    convert.add_argument("source", metavar="IN", type=Path, help="checkpoint or diffusers folder")
    convert.add_argument("out", metavar="OUT", type=Path, help="NAME.safetensors, or a folder")
    convert.add_argument("--precision", choices=PRECISIONS, help="default: each tensor as it is")
    convert.add_argument("--keep-ema", action="store_true", help="keep a .ckpt's EMA copy of the weights")


def _command(commands: Any, common: argparse.ArgumentParser, name: str, help: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help, parents=[common])
    return added


def _loras(command: argparse.ArgumentParser) -> None:
    command.add_argument("loras", nargs="+", metavar="LORA[:WEIGHT]")


def _target(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out",
        required=True,
        metavar="NAME.safetensors",
        type=Path,
        help="the new file; an existing one is never overwritten",
    )


def _size(command: argparse.ArgumentParser, otherwise: str) -> None:
    command.add_argument("--rank", type=_rank, default=0, help="rank of each layer")
    command.add_argument(
        "--error",
        type=_share,
        default=0.0,
        help=f"choose the lowest ranks with at most this relative error in each layer, e.g. 0.05{otherwise}",
    )
    command.add_argument("--precision", choices=PRECISIONS, default="fp16")


def _rank(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return value


def _files(options: argparse.Namespace) -> list[tuple[Path, float]]:
    from ..tools.files import file_and_weight

    return [file_and_weight(text) for text in options.loras]


def _work(options: argparse.Namespace) -> int:
    from ..tools.work import work
    from ..watch.progress import Progress

    progress, values = Progress(), dict(vars(options))
    if "loras" in values:
        values["loras"] = values["files"] = _files(options)
    message = work(options.tool, values, options.out, lambda *done: progress.show(options.doing, *done))
    progress.end()
    print(message)
    return OK


def _metadata(options: argparse.Namespace) -> int:
    from ..tools.describe import describe, text

    found = describe(options.file)
    print(json.dumps(found, indent=2, ensure_ascii=False) if options.json else text(found))
    return OK


def _scan(options: argparse.Namespace) -> int:
    from ..formats.single_file import scan

    found = scan(options.file)
    print(found.text)
    return {"dangerous": FAILED, "harmless": OK}.get(found.verdict, UNKNOWN)
