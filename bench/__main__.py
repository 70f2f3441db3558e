"""Run a bench: python -m bench BENCH [--json FILE]. Without a name, the benches are listed."""

from __future__ import annotations

import importlib
import sys

BENCHES = (
    "step",
    "start",
    "dataset",
    "captions",
    "memory",
    "merge",
    "methods",
    "together",
    "strategies",
    "judge",
    "faults",
    "load",
    "gpu",
)


def main(argv: list[str]) -> int:
    if not argv or argv[0] not in BENCHES:
        print(f"python -m bench {' | '.join(BENCHES)}  [--json FILE]", file=sys.stderr)
        return 2
    result: int = importlib.import_module(f"bench.{argv[0]}").main(argv[1:])
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
