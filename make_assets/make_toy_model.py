"""Make everything in ``assets/toy`` and ``assets/example`` from scratch: one command, resumable.

    python make_assets/make_toy_model.py                  # all steps in order, about 80 minutes on two cores
    python make_assets/make_toy_model.py STEP [STEP ...]  # some of them

Steps: ``clip`` (tokenizer files), ``vae``, ``unet`` (both trained; a training that was stopped continues),
``export`` (the single file and its yaml, read back and compared), ``examples`` (pictures of the two concepts and their
regularization pictures), ``check`` (figures and grids of pictures in the work folder).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from make_assets.toymodel import autoencoder, check, clip_files, diffusion, examples, single_file  # noqa: E402


def main() -> None:
    """Run the given steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help="which steps (default: all)")
    parser.add_argument("--work", type=Path, default=ROOT / "out" / "toy", help="states and drawn pictures")
    parser.add_argument("--bpe", type=Path, help="CLIP's bpe_simple_vocab_16e6.txt.gz (default: open-clip-torch's)")
    args = parser.parse_args()
    work: Path = args.work
    work.mkdir(parents=True, exist_ok=True)
    steps: dict[str, Callable[[], None]] = {
        "clip": lambda: clip_files.write_clip_files(args.bpe),
        "vae": lambda: autoencoder.train_vae(work),
        "unet": lambda: diffusion.train_unet(work),
        "export": lambda: single_file.export(work),
        "examples": examples.make_examples,
        "check": lambda: check.check(work),
    }
    unknown = [name for name in args.steps if name not in steps]
    if unknown:
        parser.error(f"unknown step {', '.join(unknown)}; choose from {', '.join(steps)}")
    for name in args.steps or steps:
        steps[name]()


if __name__ == "__main__":
    main()
