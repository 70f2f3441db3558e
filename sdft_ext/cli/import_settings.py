"""The command line's ``import``: settings of other programs, printed as a recipe."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..recipe import file as recipe_file
from ..storage.text import printable
from .signals import OK, say


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to what ``add_subparsers`` returned; ``common`` holds the options that every command has."""
    text = (
        "Print the settings of kohya's sd-scripts, kohya_ss or OneTrainer as a recipe. What differs or was left out "
        "goes to the error output, a line each."
    )
    command = commands.add_parser("import", help=text, description=text, parents=[common])
    command.set_defaults(command=_import)
    command.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        type=Path,
        help="a settings file, and the file of its dataset (kohya) or concepts (OneTrainer), or one of the two",
    )


def _import(options: argparse.Namespace) -> int:
    from ..importing import MAX_BYTES, LocalFiles, import_settings
    from ..storage.regular_file import read_start

    contents = {str(path): read_start(path, MAX_BYTES + 1) for path in options.files}
    # The programs start relative paths at their own folder: often that of the file, or the one above it.
    folders = [path.absolute().parent for path in options.files]
    bases = dict.fromkeys([*folders, *(folder.parent for folder in folders), Path.cwd()])
    imported = import_settings(contents, LocalFiles(list(bases)))
    names = ", ".join(printable(path.name) for path in options.files)
    print(f"# From {imported.program}: {names}")
    print(recipe_file.dumps(imported.recipe), end="")
    for sentence in imported.left:
        say(sentence, sys.stderr)
    say(
        f"{sum(bool(one.value) for one in imported.taken):,} settings were taken over. "
        + (f"Read the {len(imported.left):,} lines above before you train." if imported.left else "None was left out."),
        sys.stderr,
    )
    return OK
