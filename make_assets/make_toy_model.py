"""Make everything in ``assets/toy`` and ``assets/example`` from scratch: one command, resumable.

    python make_assets/make_toy_model.py                  # all steps in order, about 80 minutes on two cores
    python make_assets/make_toy_model.py STEP [STEP ...]  # some of them
    python make_assets/make_toy_model.py --world signs    # a model of another world, in out/signs

Steps: ``clip`` (tokenizer files), ``vae``, ``unet`` (both trained; a training that was stopped continues),
``export`` (the single file and its yaml, read back and compared), ``examples`` (pictures of the two concepts and their
regularization pictures), ``check`` (figures and grids of pictures in the work folder).

Another world (a name in ``sdft_ext/toy/worlds``, or a file of your own like those) has the shipped autoencoder and
tokenizer: the steps ``clip`` and ``vae`` fall away. The UNet and the text encoder begin with the shipped weights and
need few steps. Its folder has the model, the examples with their recipes, and the world's file:
``python -m sdft_ext.toy.demo --world out/signs`` trains and measures its subject.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from make_assets.toymodel import autoencoder, check, clip_files, examples, single_file  # noqa: E402
from make_assets.toymodel.common import Place  # noqa: E402
from sdft_ext.toy import world_file  # noqa: E402

OTHER_STEPS = 400
"""Steps of another world's UNet, which begins with the shipped weights."""


def main(argv: list[str] | None = None) -> None:
    """Run the given steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help="which steps (default: all)")
    parser.add_argument("--world", default=world_file.SHIPPED, metavar="NAME", help="another world, or its file")
    parser.add_argument(
        "--work", type=Path, help="states and drawn pictures; of another world, everything (default: out/NAME)"
    )
    parser.add_argument("--unet-steps", type=int, help=f"default: {Place.steps}; another world's: {OTHER_STEPS}")
    parser.add_argument("--bpe", type=Path, help="CLIP's bpe_simple_vocab_16e6.txt.gz (default: open-clip-torch's)")
    args = parser.parse_args(argv)
    try:
        place = of(args.world, args.work, args.unet_steps)
    except world_file.WorldError as error:
        parser.error(str(error))
    place.work.mkdir(parents=True, exist_ok=True)
    steps = steps_of(place, args.bpe)
    unknown = [name for name in args.steps if name not in steps]
    if unknown:
        parser.error(f"unknown step {', '.join(unknown)}; choose from {', '.join(steps)}")
    for name in args.steps or steps:
        steps[name]()


def of(name: str, work: Path | None, steps: int | None) -> Place:
    """Return where a world's files go. Raises WorldError where there is no such world."""
    world = world_file.load(name)
    folder = (work or ROOT / "out" / world.name).absolute()
    if world is world_file.TOY:
        return Place(world, folder, steps=steps or Place.steps)
    return Place.other(world, folder, steps or OTHER_STEPS)


def steps_of(place: Place, bpe: Path | None) -> dict[str, Callable[[], None]]:
    """Return the steps by name, in their order."""
    steps: dict[str, Callable[[], None]] = {
        "clip": lambda: clip_files.write_clip_files(bpe),
        "vae": lambda: autoencoder.train_vae(place),
        "unet": lambda: single_file.train_unet(place),
        "export": lambda: single_file.export(place),
        "examples": lambda: examples.make_examples(place),
        "check": lambda: check.check(place),
    }
    if place.shipped:
        return steps
    return {name: step for name, step in steps.items() if name not in ("clip", "vae")}


if __name__ == "__main__":
    main()
