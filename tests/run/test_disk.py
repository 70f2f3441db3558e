"""A run forecasts its disk use before it begins, and the forecast is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sdft_ext.memory.forecast import _family
from sdft_ext.recipe.method_info import METHOD_INFO
from sdft_ext.run import train
from sdft_ext.run.disk import MB, DiskUse, disk_use, free_megabytes
from sdft_ext.run_folder import state
from tests.run import tiny

QUICK = ("lora", "full", "textual_inversion")


def megabytes(path: Path) -> float:
    """Of the tensors in a file."""
    tensors = load_file(path) if path.suffix == ".safetensors" else _numbers(torch.load(path, weights_only=True))
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) / MB


def _numbers(content: dict[object, object]) -> dict[str, torch.Tensor]:
    found = {}
    for key, value in content.items():
        for number, one in enumerate(value if isinstance(value, tuple) else ()):
            found |= {f"{key}.{number}.{name}": tensor for name, tensor in one.items()}
    return found


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in METHOD_INFO]
)
@pytest.mark.parametrize("settings", [[], ["train.ema=0.99", "train.optimizer=lion", "train.learning_rate=1e-4"]])
def test_saves_and_states_have_the_forecast_size(method: str, settings: list[str], data: Path, tmp_path: Path) -> None:
    own = ["method.embedding.words={sks: cat}"] if METHOD_INFO[method].trains_words else []
    recipe = tiny.recipe(
        data, tmp_path, f"method.name={method}", "train.length=2", "save.precision=fp32", *own, *settings
    )
    result = train(recipe, folder=tmp_path / "run", quiet=True)
    assert result.outcome == "finished", result.message
    forecast = disk_use(recipe, _family(recipe.model.base, "sd1"), 1, 0)
    (last,) = state.states(result.folder / "state")[-1:]
    assert megabytes(last / state.TENSORS) == pytest.approx(forecast.state_mb, rel=0.15, abs=0.02)
    assert megabytes(result.saves[-1]) == pytest.approx(forecast.save_mb, rel=0.15, abs=0.02)


def test_too_small_a_disk_is_reported(tmp_path: Path) -> None:
    use = DiskUse(saves=5, save_mb=2000, state_mb=6000, cache_mb=100)
    assert use.total_mb == 22_100
    assert use.text(100_000).endswith("97.7 GB are free.")
    assert "21.6 GB: 5 saves of 2.0 GB, 2 states of 5.9 GB to resume from, 100 MB of cached" in use.text(100_000)
    assert "doesn't fit" in use.text(22_500)
    assert free_megabytes(tmp_path / "not" / "there") == pytest.approx(free_megabytes(tmp_path), rel=0.1)


def test_the_run_shows_it_before_its_first_step(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny.recipe(data, tmp_path, "train.length=2", "save.every=2", "save.every_unit=times"))
    said = capsys.readouterr().err
    assert "On disk it needs about" in said and "2 saves of" in said
    assert said.index("On disk it needs") < said.index("1 of 2")
