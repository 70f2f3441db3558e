"""A step that is tried before the first one changes nothing; where it doesn't fit, the run ends before it begins and
says why.

What it measures needs a GPU and isn't tested here.
"""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from sdft_ext.control import RunControl
from sdft_ext.dataset.cache import Latents
from sdft_ext.method import METHODS
from sdft_ext.out_of_memory import advice
from sdft_ext.run import resume, run, train, trial_step
from sdft_ext.run_folder.facts import read_facts
from sdft_ext.run_folder.log import read as read_log
from sdft_ext.train import precision as precision_room
from sdft_ext.train.loop import Loop
from tests.run import tiny
from tests.run.test_methods import recipe

OPTIMIZERS = ("lion", "prodigy", "dadaptadam", "adafactor", "came", "adamw_schedule_free")


def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """From now on every run tries a step; the sizes that it did it at are listed."""
    found: list[tuple[int, ...]] = []
    real = trial_step.largest

    def largest(*arguments: Any) -> Any:
        batch = real(*arguments)
        found.append(tuple(batch.latents.shape))
        return batch

    monkeypatch.setattr(trial_step, "needed", lambda device: True)
    monkeypatch.setattr(trial_step, "largest", largest)
    return found


def kept(folder: Path) -> tuple[Any, ...]:
    return tiny.saved(folder), tiny.losses(folder), tiny.last_state(folder)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_as_without(name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recipe(name, data, tmp_path, "train.length=2", "save.state_every=1")
    assert train(made, folder=tmp_path / "without", quiet=True).outcome == "finished"
    sizes = tried(monkeypatch)
    draws = torch.get_rng_state()
    assert train(made, folder=tmp_path / "with", quiet=True).outcome == "finished"
    assert torch.equal(torch.get_rng_state(), draws)
    assert kept(tmp_path / "with") == kept(tmp_path / "without")
    assert sizes == [(2, 4, 8, 8)]  # the largest of its buckets, 64 × 64, in a full batch


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_every_optimizer_moves_as_without(
    optimizer: str, precision: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny.recipe(
        data, tmp_path, f"train.optimizer={optimizer}", f"train.precision={precision}", "train.learning_rate=1e-3",
        "train.length=3", "save.state_every=3", "train.ema=0.9",
    )  # fmt: skip
    train(made, folder=tmp_path / "without", quiet=True)
    assert tried(monkeypatch) == []
    train(made, folder=tmp_path / "with", quiet=True)
    assert kept(tmp_path / "with") == kept(tmp_path / "without")


def test_weights_in_bfloat16_and_a_resumed_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tiny.recipe(
        data, tmp_path, "method.name=full", "method.full.weights=bf16", "train.precision=bf16", "save.state_every=1"
    )
    train(made, folder=tmp_path / "without", quiet=True)
    sizes = tried(monkeypatch)
    stops = RunControl()
    real = run.Run.step

    def step(self: Any, session: Any, done: int) -> Any:
        if done == 1:
            stops.stop()
        return real(self, session, done)

    with monkeypatch.context() as once:
        once.setattr(run.Run, "step", step)
        assert train(made, folder=tmp_path / "with", control=stops, quiet=True).outcome == "stopped"
    assert resume(tmp_path / "with", quiet=True).outcome == "finished"
    assert len(sizes) == 2
    assert tiny.last_state(tmp_path / "with") == tiny.last_state(tmp_path / "without")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_trial_step_runs_with_the_optimizers_states(
    precision: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first step's highest moment comes before there is any of it; every later one's after."""
    tried(monkeypatch)
    there: list[int] = []
    real = Loop.loss

    def loss(self: Loop, *arguments: Any) -> Any:
        if isinstance(self.batches, trial_step.Always):
            there.append(len(self.optimizer.state) - len(self.parameters))
        return real(self, *arguments)

    monkeypatch.setattr(Loop, "loss", loss)
    monkeypatch.setattr(precision_room, "_scaler", lambda device: torch.amp.GradScaler(device.type, init_scale=2.0**40))
    result = train(tiny.recipe(data, tmp_path, "train.length=2", f"train.precision={precision}"), quiet=True)
    assert result.outcome == "finished" and there[-1] == 0


def test_the_measured_memory_is_reported(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried(monkeypatch)
    folder = train(tiny.recipe(data, tmp_path, "train.length=1"), quiet=True).folder
    (event,) = (line for line in read_log(folder) if line.get("event") == "memory")
    memory = read_facts(folder)["memory"]
    assert memory["batch"] == 2 and memory["free_mb"] > 0
    assert event["text"].startswith("Memory, measured by one step at ") and "in batches of 2" in event["text"]
    assert json.loads((folder / "report.json").read_text())["memory"] == memory
    assert "| A step's memory on the GPU, at 64×64 in batches of 2 | " in (folder / "report.md").read_text()


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_step_that_does_not_fit_ends_the_run_before_it_begins(
    error: RuntimeError, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny.recipe(data, tmp_path, "train.length=2")
    whole = train(made, folder=tmp_path / "whole", quiet=True)
    sizes = tried(monkeypatch)

    real = torch.optim.AdamW.step

    def full(self: Any, *_: Any) -> None:
        real(self)  # halfway: the weights have moved already
        raise error

    with monkeypatch.context() as once:
        once.setattr(torch.optim.AdamW, "step", full)
        failed = train(made, folder=tmp_path / "failed", quiet=True)
    assert failed.outcome == "failed" and len(sizes) == 2  # with all in its place, and with the VAE put aside
    assert failed.message.startswith("The run did not begin: one step at ")
    assert "Set train.checkpointing to true, set train.precision to bf16, lower train.batch_size" in failed.message
    assert not tiny.losses(failed.folder) and not failed.saves
    # Its folder is as good as a new one.
    assert resume(failed.folder, quiet=True).outcome == "finished"
    assert tiny.saved(failed.folder) == tiny.saved(whole.folder)


def test_what_a_step_that_did_not_fit_had_computed_is_gone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or what was there before would find no room, and the next one, with less in the memory, would find it as full."""
    made = tiny.recipe(data, tmp_path, "train.length=1", "method.text_encoder=false")
    sizes = tried(monkeypatch)
    left: list[weakref.ref[torch.Tensor]] = []
    real, largest, copy = Loop.loss, trial_step.largest, trial_step.copy

    def loss(self: Loop, *arguments: Any) -> torch.Tensor:
        result = real(self, *arguments)
        left.append(weakref.ref(result))
        return result

    def full(self: Any, *_: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    def looked(*arguments: Any) -> Any:
        assert all(one() is None for one in left), "the step before lives on"
        return largest(*arguments)

    def put_back(*arguments: Any) -> None:
        assert left and left[-1]() is None, "the step lives on while its weights are put back"
        copy(*arguments)

    monkeypatch.setattr(Loop, "loss", loss)
    monkeypatch.setattr(torch.optim.AdamW, "step", full)
    monkeypatch.setattr(trial_step, "copy", put_back)
    monkeypatch.setattr(trial_step, "largest", looked)
    result = train(made, quiet=True)
    assert result.outcome == "failed" and len(left) == len(sizes) == 2, result.message


def test_pictures_that_wait_to_be_encoded_take_their_part(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest of them, while it is measured; of large pictures that is more than a step."""
    order: list[str] = []
    encode, loss, allocated = Latents._encode_chunk, Loop.loss, trial_step.allocated

    def note(name: str, real: Any) -> Any:
        def noted(*arguments: Any, **more: Any) -> Any:
            order.append(name + (f" {arguments[1][0][1][0].shape[-1]}" if name == "encode" else ""))
            return real(*arguments, **more)

        return noted

    tried(monkeypatch)
    monkeypatch.setattr(Latents, "_encode_chunk", note("encode", encode))
    monkeypatch.setattr(Loop, "loss", note("step", loss))
    monkeypatch.setattr(trial_step, "allocated", note("look", allocated))
    assert train(tiny.recipe(data, tmp_path, "train.length=1"), quiet=True).outcome == "finished"
    assert order[:5] == ["look", "encode 64", "step", "step", "look"], order


def test_a_cpu_is_not_tried_and_advice_names_only_what_helps() -> None:
    assert not trial_step.needed(torch.device("cpu")) and trial_step.needed(torch.device("cuda"))
    made = tiny.recipe(Path("data"), Path("runs"))
    made.train.checkpointing, made.train.precision, made.train.batch_size = True, "bf16", 1
    assert advice(made) == "Lower dataset.resolution, or close other programs that use the GPU."
