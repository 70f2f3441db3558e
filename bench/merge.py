"""python -m bench merge [--json FILE]: the memory and time that merging a LoRA into a checkpoint of true size takes.

The checkpoint has a published family's names, sizes and number format, with numbers drawn at random, and the LoRA every
layer that one can change. The merge is the command line's own, in a process of its own; its peak is that process's
whole resident memory, Python and torch included.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor

from sdft_ext.cli.main import main as cli
from sdft_ext.formats import kohya, reference_families, single_file_layout, tensor_file
from sdft_ext.formats.family import Family
from sdft_ext.formats.kohya import LoraLayer
from sdft_ext.formats.tensor_file import Entry
from sdft_ext.model import borrow
from sdft_ext.storage import json_file
from sdft_ext.tools import files

from .table import show

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")
RANK = 16
DRAWN = 2**20
"""Numbers that are drawn; a tensor holds them over and over."""


def layout(family: Family) -> dict[str, Entry]:
    """What a single file of the family holds, in half precision."""
    modules = borrow.skeletons(family)
    parameters = {
        f"{part}.{name}": parameter
        for part, module in zip(PARTS, modules, strict=False)  # SD 1 and 2 have one text encoder
        for name, parameter in module.named_parameters()
    }
    made = single_file_layout.keys(family, parameters)
    joined = {key: one.join([parameters[name] for name in one.names]) for key, one in made.items()}
    return {key: Entry(torch.float16, tuple(tensor.shape)) for key, tensor in joined.items()}


def checkpoint(path: Path, entries: dict[str, Entry]) -> None:
    drawn = torch.randn(DRAWN, generator=torch.Generator().manual_seed(0)).mul(0.02).half()

    def values(key: str) -> Tensor:
        count = entries[key].length // 2
        return drawn.repeat(-(-count // DRAWN))[:count].reshape(entries[key].shape)

    tensor_file.write(path, entries, values)


def lora(path: Path, family: Family) -> None:
    """Write a LoRA of every layer."""
    draws, made = torch.Generator().manual_seed(1), {}
    for name, shape in files.layers(family).items():
        down = torch.randn(RANK, *shape[1:], generator=draws) * 0.02
        up = torch.randn(shape[0], RANK, *(1 for _ in shape[2:]), generator=draws) * 0.02
        made[name] = LoraLayer(down, up, float(RANK))
    kohya.write(path, made, family, {}, "fp16")


def peak_mb() -> float:
    """Return the peak of this process's resident memory in megabytes, as Linux reports it."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) / 1024


def in_own_process(base: Path, change: Path, target: Path) -> dict[str, float]:
    """Run one merge in a process of its own; return its seconds and peak."""
    command = [sys.executable, "-m", "bench.merge", str(base), str(change), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise RuntimeError(f"the merge failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json_file.parse(done.stdout.splitlines()[-1])
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench merge", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--family", choices=tuple(reference_families.UNET), default="sdxl")
    parser.add_argument("--folder", type=Path, help="folder for the temporary files; default: the system's")
    options = parser.parse_args(argv)
    family = reference_families.family(options.family)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        base, change, target = (Path(folder, f"{name}.safetensors") for name in ("base", "lora", "merged"))
        entries = layout(family)
        size, free = sum(entry.length for entry in entries.values()), shutil.disk_usage(folder).free
        if free < 2.2 * size:
            parser.error(
                f"{folder} has {free / 1e9:.0f} GB free, {2.2 * size / 1e9:.0f} GB are needed: choose another folder "
                "with --folder."
            )
        checkpoint(base, entries)
        lora(change, family)
        found = in_own_process(base, change, target)
    figures = {"model_mb": round(size / 2**20), **found, "share": round(found["peak_mb"] * 2**20 / size, 3)}
    header = ["family", "model MB", "peak MB", "peak ÷ model", "seconds"]
    row = [options.family, figures["model_mb"], found["peak_mb"], figures["share"], found["seconds"]]
    show(header, [row], {"merge": {options.family: figures}}, options.json)
    return 0


def merged(base: str, change: str, target: str) -> dict[str, float]:
    began = time.monotonic()
    if cli(["tools", "merge", base, change, "--out", target]):
        raise SystemExit(1)
    return {"seconds": round(time.monotonic() - began, 1), "peak_mb": round(peak_mb())}


if __name__ == "__main__":
    print(json.dumps(merged(*sys.argv[1:])))
