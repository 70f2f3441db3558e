"""Runs a user's regular expression over captions, in a process of its own that can be ended: a bad one takes for ever, and
nothing else runs meanwhile. Needs the standard library only, and is started as a file: JSON comes in, JSON goes out."""

import json
import re
import sys
from contextlib import suppress
from typing import Any

MOST_MEMORY = 2**31
"""Bytes of this process, where the system can hold it to that."""


def main() -> None:
    with suppress(ImportError, ValueError, OSError):  # without it the time limit remains
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    wish = json.load(sys.stdin)
    try:
        found = matched(wish)
    except (re.error, IndexError, OverflowError, RecursionError, ValueError) as error:
        found = {"error": str(error)}
    except MemoryError:
        found = {"error": "it takes too much memory"}
    json.dump(found, sys.stdout)


def matched(wish: dict[str, Any]) -> dict[str, Any]:
    pattern = re.compile(wish["pattern"], 0 if wish["case"] else re.IGNORECASE)
    if wish["with"] is None:
        return {"found": [pattern.search(text) is not None for text in wish["texts"]]}
    left = wish["most"]
    new = []
    for text in wish["texts"]:
        made = pattern.sub(wish["with"], text)
        left -= len(made)
        if left < 0:
            raise ValueError("the new captions become far too long")
        new.append(None if made == text else made)
    return {"new": new}


if __name__ == "__main__":
    main()
