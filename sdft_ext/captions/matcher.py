"""Run a user's regular expression over captions, in a process of its own that can be stopped: a bad one takes forever.

Needs the standard library only, and is started as a file: a JSON request comes in, a JSON response goes out.
"""

import json
import re
import sys
from contextlib import suppress
from typing import Any

MAX_MEMORY = 2**31
"""Bytes of this process, where the system can enforce a limit."""


def main() -> None:
    with suppress(ImportError, ValueError, OSError):  # without it the time limit remains
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    request = json.load(sys.stdin)
    try:
        response = answer(request)
    except (re.error, IndexError, OverflowError, RecursionError, ValueError) as error:
        response = {"error": str(error)}
    except MemoryError:
        response = {"error": "it takes too much memory"}
    json.dump(response, sys.stdout)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Search all texts, or replace in them where ``with`` isn't null. Raises ValueError, re.error and others of
    ``re``.
    """
    pattern = re.compile(request["pattern"], 0 if request["case"] else re.IGNORECASE)
    if request["with"] is None:
        return {"found": [pattern.search(text) is not None for text in request["texts"]]}
    left = request["limit"]
    new = []
    for text in request["texts"]:
        replaced = pattern.sub(request["with"], text)
        left -= len(replaced)
        if left < 0:
            raise ValueError("the new captions would be far too long")
        new.append(None if replaced == text else replaced)
    return {"new": new}


if __name__ == "__main__":
    main()
