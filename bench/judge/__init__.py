"""python -m bench judge [--work out/judge] [--only RUN …] [--list] [--json FILE]: whether the judge's numbers are true.

On the toy model, runs of nine new concepts, good ones and those that fail in each of the ways a user meets, are trained
and recorded: of each save, the pictures that the judge may see, and apart from them what the checker reads off others.
Runs that are recorded already are not made again: the command goes on where it was stopped, and two of it at once
share the work. Then the judge's numbers are compared with the truth.
"""

from .command import main

__all__ = ["main"]
