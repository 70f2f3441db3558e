"""Run the command line: ``python -m sdft_ext``."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
