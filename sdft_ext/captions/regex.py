"""Apply regular expressions to all captions, with limits on time and memory."""

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
"""Time limit of one expression over all captions."""
MAX_PATTERN = 1_000
"""Characters of a pattern, and of its replacement."""
MAX_RESULT = 64 * 2**20
"""Characters of all new captions together."""
_PROGRAM = Path(__file__).with_name("matcher.py")


def matches(pattern: str, texts: Sequence[str], case: bool = False) -> list[bool]:
    """Return for each text whether a pattern is found in it.

    Raises CaptionsError where the pattern is invalid, or takes longer than two seconds.
    """
    found: list[bool] = _run(pattern, None, texts, case)["found"]
    return found


def replace(pattern: str, new: str, texts: Sequence[str], case: bool = False) -> list[str | None]:
    """Replace what a pattern finds in each text; None where nothing changes. Raises CaptionsError as ``matches``."""
    made: list[str | None] = _run(pattern, new, texts, case)["new"]
    return made


def _run(pattern: str, new: str | None, texts: Sequence[str], case: bool) -> dict[str, Any]:
    if not pattern:
        raise CaptionsError("The regular expression is empty; type one.")
    if max(len(pattern), len(new or "")) > MAX_PATTERN:
        raise CaptionsError(f"The regular expression is longer than {MAX_PATTERN:,} characters; use a shorter one.")
    request = json.dumps({"pattern": pattern, "with": new, "texts": list(texts), "case": case, "limit": MAX_RESULT})
    try:
        # -I -S: nothing but the standard library, so that it starts in 20 ms.
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(_PROGRAM)],
            input=request.encode("ascii"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired as error:
        raise CaptionsError(
            f"The regular expression {pattern[:60]!r} takes longer than {SECONDS:g} seconds and was stopped; "
            f"simplify it: "
            "repeats inside repeats, such as (a+)+, take forever."
        ) from error
    except OSError as error:
        raise CaptionsError(
            f"The process for the regular expression can't be started ({error.strerror}); try again."
        ) from error
    try:
        answer: dict[str, Any] = json_file.parse(done.stdout)
    except ValueError as error:
        raise CaptionsError(f"The regular expression {pattern[:60]!r} takes too much memory; simplify it.") from error
    if "error" in answer:
        raise CaptionsError(f"{pattern[:60]!r} is not a valid regular expression: {answer['error']}.")
    return answer
