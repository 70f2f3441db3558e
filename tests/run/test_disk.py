"""A run forecasts its disk use before it begins, and the forecast is right."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sdft_ext.memory.forecast import _family
from sdft_ext.recipe.method_info import METHOD_INFO
from sdft_ext.run import disk, train
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


def test_saves_and_cache_on_other_disks_are_said_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"runs": 10_000.0, "Lora": 1_000.0, "cache": 10_000.0}
    monkeypatch.setattr(disk, "free_megabytes", lambda folder: free[folder.name])
    stat = Path.stat
    other = {"Lora": 2**40}

    def on_disks(path: Path, **options: Any) -> Any:
        found = list(stat(path, **options))
        found[2] = other.get(path.name, found[2])
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", on_disks)
    for name in free:
        (tmp_path / name).mkdir()
    runs, saves, cache = (tmp_path / name for name in free)
    use = DiskUse(saves=5, save_mb=200, state_mb=600, cache_mb=100)
    first, second = use.sentences(runs, saves, cache)
    assert first.startswith(f"On the disk of {saves} it needs about 1000 MB: 5 saves of 200 MB. 1000 MB are free.")
    assert first.endswith(disk.NO_ROOM)
    assert second == (
        f"On the disk of {runs} it needs about 1.3 GB: 2 states of 600 MB to resume from, 100 MB of cached pictures. "
        "9.8 GB are free."
    )
    assert use.sentences(runs, None, cache) == [use.text(10_000)]


def test_the_run_shows_it_before_its_first_step(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny.recipe(data, tmp_path, "train.length=2", "save.every=2", "save.every_unit=times"))
    said = capsys.readouterr().err
    assert "On disk it needs about" in said and "2 saves of" in said
    assert said.index("On disk it needs") < said.index("1 of 2")


def test_the_best_save_takes_room_too_where_older_ones_are_deleted(data: Path, tmp_path: Path) -> None:
    """Whether it is chosen by its control pictures or by the loss."""

    def kept(*changes: str) -> int:
        recipe = tiny.recipe(data, tmp_path, "save.keep_last=2", *changes)
        return disk_use(recipe, _family(recipe.model.base, "sd1"), saves=10, cache_bytes=0).saves

    assert kept("watch.judge=true") == kept("watch.judge=false") == 3
    assert kept("save.keep_best=false") == 2
