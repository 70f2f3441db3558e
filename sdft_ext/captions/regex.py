"""Regular expressions over all captions, ended where they take too long."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..storage import json_file
from .errors import CaptionsError

SECONDS = 2.0
LONGEST = 1_000
"""Characters of a pattern, and of what is put in."""
MOST = 64 * 2**20
"""Characters of all new captions together."""
_PROGRAM = Path(__file__).with_name("matcher.py")


def matches(pattern: str, texts: Sequence[str], case: bool = False) -> list[bool]:
    """In which texts a pattern is found. Raises CaptionsError where it is none, or takes longer than two seconds."""
    found: list[bool] = _run(pattern, None, texts, case)["found"]
    return found


def replaced(pattern: str, new: str, texts: Sequence[str], case: bool = False) -> list[str | None]:
    """Each text with what the pattern finds replaced; None where nothing changes. Raises CaptionsError as ``matches``."""
    made: list[str | None] = _run(pattern, new, texts, case)["new"]
    return made


def _run(pattern: str, new: str | None, texts: Sequence[str], case: bool) -> dict[str, Any]:
    if not pattern:
        raise CaptionsError("The regular expression is empty; type one.")
    if max(len(pattern), len(new or "")) > LONGEST:
        raise CaptionsError(f"The regular expression is longer than {LONGEST:,} characters; use a shorter one.")
    wish = json.dumps({"pattern": pattern, "with": new, "texts": list(texts), "case": case, "most": MOST})
    try:
        # -I -S: nothing but the standard library, so that it starts in 20 ms.
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(_PROGRAM)],
            input=wish.encode("ascii"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired as error:
        raise CaptionsError(
            f"The regular expression {pattern[:60]!r} takes longer than {SECONDS:g} seconds and was ended; make it simpler: "
            "repeats inside repeats, such as (a+)+, take for ever."
        ) from error
    except OSError as error:
        raise CaptionsError(
            f"No process for the regular expression can be started ({error.strerror}); try again."
        ) from error
    try:
        answer: dict[str, Any] = json_file.parse(done.stdout)
    except ValueError as error:
        raise CaptionsError(
            f"The regular expression {pattern[:60]!r} takes too much memory; make it simpler."
        ) from error
    if "error" in answer:
        raise CaptionsError(f"{pattern[:60]!r} is no regular expression that can be used: {answer['error']}.")
    return answer
