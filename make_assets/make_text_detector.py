"""Train the text detector of the dataset report: ``sdft_ext/analysis/text_detector.safetensors``.

    pip download --no-deps -d out/fonts font-amatic-sc font-caladea font-fjallaone font-fredoka-one font-intuitive \\
        font-manrope font-roboto font-source-serif-pro
    # unpack them; of Manrope, only Light, Regular, Bold and ExtraBold were used
    python make_assets/make_text_detector.py

``out/photographs`` holds the 1,000 photographs of the repository EliSchwartz/imagenet-sample-images. A cycle takes less
than a minute on one core. The backgrounds are every second one of these photographs, others that come with scikit-image
and gradio, and drawn textures; the fonts are DejaVu, which comes with matplotlib, and those of the folder.
``python -m bench dataset --text`` measures the result with other photographs, drawings and fonts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

CYCLES = 2
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from make_assets.textmodel import samples, training  # noqa: E402
from sdft_ext.analysis.text_detector import FILE  # noqa: E402


def main(argv: list[str] | None = None) -> None:
    """Train and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fonts", type=Path, default=ROOT / "out" / "fonts", help="a folder of fonts (.ttf)")
    parser.add_argument(
        "--photographs", type=Path, default=ROOT / "out" / "photographs", help="a folder of photographs"
    )
    parser.add_argument("--out", type=Path, default=FILE, help="the file to write")
    parser.add_argument("--cycles", type=int, default=CYCLES, help="how often the learning rate rises and falls")
    parser.add_argument("--first", type=int, default=0, help="continue the file that --out names with this cycle")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    faces = samples.fonts(args.fonts)
    for cycle in range(args.first, args.first + args.cycles):
        training.train(faces, args.photographs, args.out, cycle)


if __name__ == "__main__":
    main()
