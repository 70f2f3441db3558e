"""How much of a model the tools have in memory at a time. At a model's true size: ``python -m bench merge``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sdft_ext.formats.kohya import LoraLayer, write
from sdft_ext.tools.files import layers
from tests.model import ldm

MEMORY = """
import resource, sys
from pathlib import Path
from sdft_ext.tools.convert import convert
from sdft_ext.tools.extract import extract
from sdft_ext.tools.merge import merge
small, large, lora, folder = map(Path, sys.argv[1:])
for base, name in ((small, "small"), (large, "large")):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    merged = merge(base, [(lora, 1.0)], folder / f"{name}.safetensors").path
    extract(base, merged, folder / f"{name}-lora.safetensors", rank=2)
    convert(base, folder / name)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports peak memory in KiB")
def test_a_model_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """Merge, extract, convert: a file of 320 MB more takes less memory than three more of its tensors of 16 MB."""
    family, draws = ldm.family("sd1"), torch.Generator().manual_seed(0)
    tensors = {key: value.contiguous() for key, value in ldm.state_dict(family).items()}
    save_file(tensors, tmp_path / "one.safetensors")
    more = {f"somebody.else.{number}": torch.full((1024, 4096), float(number)) for number in range(20)}
    save_file({**tensors, **more}, tmp_path / "two.safetensors")
    lora = {
        name: LoraLayer(
            torch.randn(2, *shape[1:], generator=draws), torch.randn(shape[0], 2, *(1 for _ in shape[2:])), 2.0
        )
        for name, shape in layers(family).items()
    }
    write(tmp_path / "lora.safetensors", lora, family, {}, "fp32")
    names = [tmp_path / f"{name}.safetensors" for name in ("one", "two", "lora")]
    command = [sys.executable, "-c", MEMORY, *map(str, names), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 48_000
    merged = load_file(tmp_path / "large.safetensors")
    assert all(torch.equal(merged[key], value) for key, value in more.items())
