"""The command line, ``sdft`` or ``python -m sdft_ext``. Each command imports the heavy packages that it needs."""

from __future__ import annotations

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..errors import SdftError
from ..out_of_memory import out_of_memory, work_failed
from . import captions as cli_captions
from . import dataset as cli_dataset
from . import import_settings as cli_import
from . import tools as cli_tools
from . import train as cli_train
from .signals import FAILED, INTERRUPTED, OK, USAGE, say

IN_THE_WAY = NotADirectoryError | FileExistsError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that can't show a character of a file name shows '?' instead.
            stream.reconfigure(errors="replace")
    options = _parsed(argv)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        say("sdft: interrupted.", sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe (recipe | head): that is no error, and Python must not flush into it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        say(f"sdft: {_sentence(error)}", sys.stderr)
        wrong_input = isinstance(error, FileNotFoundError | IN_THE_WAY) or (
            isinstance(error, ValueError) and isinstance(error, SdftError)
        )
        return USAGE if wrong_input else FAILED


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments; settings (section.key=value) may also follow options, which argparse alone refuses."""
    known = parser()
    options, rest = known.parse_known_args(argv)
    if any(text.startswith("-") or "=" not in text for text in rest) or (rest and not hasattr(options, "settings")):
        known.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.settings = [*options.settings, *rest]
    return options


def _sentence(error: Exception) -> str:
    """Return the message of an error; for an unexpected one, the type and how to see more."""
    if isinstance(error, IN_THE_WAY) and error.filename:
        return f"{error.filename}: a file is where a folder is needed. Choose another folder, or move the file away."
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, SdftError | OSError):
        return str(error)
    if out_of_memory(error):
        return work_failed(error)
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return "A path begins with ~ and a user that this computer doesn't have: write the whole path."
    return f"unexpected {type(error).__name__}: {error}. Run the command again with --debug to see where."


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    program = "sdft" if Path(sys.argv[0]).stem == "sdft" else "python -m sdft_ext"
    top = argparse.ArgumentParser(prog=program, description="Fine-tune Stable Diffusion.")
    top.add_argument("--version", action="version", version=__version__)
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    cli_train.add_commands(commands, common)
    cli_import.add_commands(commands, common)
    cli_tools.add_checkpoint_commands(commands, common)
    for name, room, help in (
        ("dataset", cli_dataset, "Inspect or prepare a folder of pictures, or draw regularization pictures."),
        ("captions", cli_captions, "Filter, edit with undo, count, import and export a folder's captions."),
        ("tools", cli_tools, "Merge, extract, resize, convert and inspect finished files."),
    ):
        group = commands.add_parser(name, help=help, description=help, parents=[common])
        room.add_commands(group.add_subparsers(required=True, metavar="WHAT"), common)
    return top
