"""python -m bench memory [--write | --check] [--json FILE]: the memory that a run needs besides its weights.

Without options, coefficients are counted for every model at its published size; the toy's steps are computed for this,
the others' go through with fake tensors (see ``traced_step``). A moment of a step grows in proportion to pixels ×
batch, so two sizes give it for all (see ``lines``). ``--write`` puts those that may be the highest into
``sdft_ext/memory/coefficients.json``, where the forecast reads them. ``--check`` checks that forecast against real runs
(see ``peaks``) and writes docs/memory.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from sdft_ext.formats import reference_families
from sdft_ext.formats.family import Family
from sdft_ext.memory.phases import COEFFICIENTS
from sdft_ext.model.load import load
from sdft_ext.storage import json_file

from .lines import BATCHES, MB, Passes, line_through, lines
from .traced_step import COMPUTE, Setting, recipe_of

ROOT = Path(__file__).resolve().parent.parent
TOY = ROOT / "assets" / "toy" / "toy.safetensors"
SIDES = {"toy": (64, 128), "sd1": (256, 512), "sdxl": (512, 1024)}
"""Pixels; the line goes through two sizes. (SD 2 has SD 1's widths.)"""
CODERS = {"fp32": torch.float32, "fp16": torch.float16}
"""Dtypes of a VAE: on the CPU, and as a WebUI loads it on a GPU."""
KINDS = (
    "lora", "dora", "loha", "lokr", "hypernetwork", "full", "full bf16", "words", "lora linear", "lora attention"
)  # fmt: skip
"""What trains in the UNet: layers of a kind (all of them, or fewer), networks, its own weights (kept in float32 or
bf16), or nothing (words do). Methods name one of these in their ``step_kind``.
"""
WIDTHS: dict[str, tuple[float, float]] = {"lora": (8, 24), "dora": (8, 24), "hypernetwork": (3, 5)}
"""Kinds whose kept results grow with a width (``method.base.StepKind``), and two that tell how."""


def family(name: str) -> Family:
    return load(TOY).family if name == "toy" else reference_families.family(name)


def cases(kinds: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    for kind in kinds:
        for precision in COMPUTE:
            for checkpointing in (False, True):
                if kind != "full bf16" or precision == "bf16":
                    yield kind, precision, checkpointing


def measure(name: str, kinds: Sequence[str] = KINDS) -> Iterator[tuple[str, Any]]:
    """Yield (case, figures) of one family."""
    sort, sides = family(name), SIDES[name]
    cells = ((sides[0] // 8) ** 2, (sides[1] // 8) ** 2)
    for kind, precision, checkpointing in cases(kinds):
        widths = WIDTHS.get(kind.partition(" ")[0], (0, 0))
        made, *wider = [
            Setting(sort, recipe_of(kind, precision, checkpointing, width), fake=name != "toy")
            for width in dict.fromkeys(widths)
        ]
        small, large = sides
        if kind == "dora":  # its first pass computes what later ones find
            for setting in (made, *wider):
                setting.unet_step(small, BATCHES[0])
        passes = Passes(
            made.unet_step(small, BATCHES[0]),
            made.unet_step(large, BATCHES[0]),
            made.unet_step(small, BATCHES[1]),
            (wider[0].unet_step(small, BATCHES[0]), wider[0].unet_step(large, BATCHES[0])) if wider else None,
        )
        moments, held = lines(passes, cells, widths)
        case = f"{kind} {precision}{' checkpointing' if checkpointing else ''}"
        yield f"step {case}", {"moments": moments, "held": held}
        if not checkpointing and kind != "hypernetwork":
            one, three = (made.text_step(batch).kept for batch in (1, 3))
            figures = {"fixed_mb": round((3 * one - three) / 2 / MB, 2), "caption_mb": round((three - one) / 2 / MB, 2)}
            yield f"text {case}", figures
    for precision, dtype in CODERS.items():
        coder = Setting(sort, recipe_of("words", "fp32", False), dtype, fake=name != "toy")
        for decode in (True, False):
            small, large = (coder.coding_bytes(side, decode) for side in sides)
            fixed, each = line_through(small, large, cells)
            figures = {"fixed_mb": round(max(fixed, 0) / MB, 2), "cell_kb": round(each / 1024, 3)}
            yield f"{'decode' if decode else 'encode'} {precision}", figures


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench memory", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--family", choices=tuple(SIDES), action="append", help="only this one; can be repeated")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this one; can be repeated")
    parser.add_argument("--write", action="store_true", help="write the forecast's coefficients")
    parser.add_argument("--check", action="store_true", help="measure runs against the forecast; write docs/memory.md")
    options = parser.parse_args(argv)
    if options.check:
        from . import peaks

        return peaks.check(options.family or ["toy", "sd1"], options.json)
    table: dict[str, dict[str, Any]] = {}
    for name in options.family or SIDES:
        for case, figures in measure(name, options.kind or KINDS):
            print(name, case, figures, flush=True)
            table.setdefault(name, {})[case] = figures
            if options.write:
                kept = json_file.read(COEFFICIENTS, missing={})
                kept.setdefault(name, {})[case] = figures
                COEFFICIENTS.write_text(_json(kept), encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps({"memory": table}, indent=1) + "\n", encoding="utf-8")
    return 0


def _json(table: dict[str, dict[str, Any]]) -> str:
    """Write the table as JSON, one line for each case."""
    families = [
        f'"{name}": {{\n' + ",\n".join(f' "{case}": {json.dumps(figures)}' for case, figures in cases.items()) + "\n}"
        for name, cases in table.items()
    ]
    return "{\n" + ",\n".join(families) + "\n}\n"
