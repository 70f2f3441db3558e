"""Exclusive mode: what a run doesn't need is put aside while it steps, and comes back bit for bit; pictures asked for
wait.

Moving goes to the CPU, also from there: weights that were put aside have another address. That a GPU's memory is free
then needs one, and isn't tested here.
"""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from sdft_ext.control import RunControl
from sdft_ext.host import offload as aside
from sdft_ext.host.base import Drawing
from sdft_ext.host.standalone import Shelf, StandaloneHost
from sdft_ext.model.copies import parameters
from sdft_ext.recipe import Recipe
from sdft_ext.run import memory_mode, train, trial_step
from sdft_ext.run_folder.facts import read_facts
from sdft_ext.run_folder.log import read as read_log
from sdft_ext.train.loop import Loop
from tests.run import tiny


def full_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake GPU on which the first trial step doesn't fit."""
    real, tried = trial_step.measure, []

    def measure(*arguments: Any) -> Any:
        tried.append(arguments)
        if len(tried) == 1:
            raise trial_step.DoesNotFit("Too much.")
        return real(*arguments)

    monkeypatch.setattr(trial_step, "needed", lambda device: True)
    monkeypatch.setattr(trial_step, "measure", measure)


def host_of(recipe: Recipe) -> tuple[StandaloneHost, dict[str, torch.nn.Parameter]]:
    """A host with its model loaded, and the parameters that it lends."""
    host = StandaloneHost(recipe.model, "cpu", Shelf("cpu"))
    with host.shelf.lock:
        return host, dict(parameters(host.shelf.take(host.files())))


def places(model: dict[str, torch.nn.Parameter]) -> dict[str, int]:
    return {name: value.data_ptr() for name, value in model.items()}


def bits(model: dict[str, torch.nn.Parameter]) -> dict[str, bytes]:
    return {name: value.detach().numpy().tobytes() for name, value in model.items()}


NO_TEXT = ("method.text_encoder=false",)


@pytest.mark.parametrize(
    ("settings", "aside"),
    [
        (("method.name=lora", *NO_TEXT), {"vae", "text_encoder"}),
        (("method.name=lora",), {"vae"}),
        (("method.name=lora", *NO_TEXT, "dataset.crop=random"), {"text_encoder"}),
        (("method.name=lora", *NO_TEXT, "train.blank_preservation=1"), {"vae"}),
        (("method.name=hypernetwork", "method.text_encoder=true"), {"vae", "text_encoder"}),
        (("method.name=full",), {"vae", "unet", "text_encoder"}),
        (("method.name=dreambooth", *NO_TEXT), {"vae", "unet", "text_encoder"}),
        (("method.name=dreambooth", "train.class_preservation=1"), {"vae"}),
    ],
)
def test_what_steps_do_not_need_is_put_aside_and_comes_back(
    settings: tuple[str, ...], aside: set[str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny.recipe(data, tmp_path, "dataset.template=[name] [filewords]", "train.learning_rate=1e-3", *settings)
    shared = train(made, folder=tmp_path / "shared", quiet=True)
    assert shared.outcome == "finished", shared.message
    host, model = host_of(made)
    before, home = bits(model), places(model)
    seen: list[set[str]] = []
    real = Loop.step

    def step(self: Any, number: int) -> Any:
        now = places(model)
        seen.append({name.partition(".")[0] for name in now if now[name] != home[name]})
        assert bits(model) == before
        return real(self, number)

    monkeypatch.setattr(Loop, "step", step)
    full_at_first(monkeypatch)
    alone = train(made, folder=tmp_path / "alone", host=host, quiet=True)
    assert alone.outcome == "finished", alone.message
    # The two that were tried, and four steps between which two saves are written.
    assert seen and all(parts == aside for parts in seen[1:3]), seen
    assert bits(model) == before
    assert tiny.saved(alone.folder) == tiny.saved(shared.folder)
    assert tiny.losses(alone.folder) == tiny.losses(shared.folder)
    assert read_facts(alone.folder)["mode"] == "exclusive"
    (event,) = (line for line in read_log(alone.folder) if line.get("event") == "memory")
    assert "Mode: exclusive. While the run steps, the " in event["text"]


def test_a_run_that_fits_is_shared(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_step, "needed", lambda device: True)
    folder = train(tiny.recipe(data, tmp_path, "train.length=1"), quiet=True).folder
    assert read_facts(folder)["mode"] == "shared"


def test_where_nothing_can_be_offloaded_the_run_says_what_to_lower(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny.recipe(data, tmp_path, "dataset.crop=random", "method.text_encoder=true")
    assert not memory_mode.offloadable_parts(made)
    full_at_first(monkeypatch)
    assert train(made, quiet=True).message == "Too much."


def test_a_picture_asked_for_waits_until_the_run_pauses(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny.recipe(data, tmp_path, "train.length=6", "save.every=0", "method.text_encoder=false")
    host, model = host_of(made)
    home, control, order = places(model), RunControl(), list[str]()
    real = Loop.step

    def draw() -> None:
        StandaloneHost(made.model, "cpu", host.shelf).draw(Drawing("a cat", steps=1, size=64))
        order.append("picture")
        assert all(value.device.type == "cpu" for value in model.values())
        control.resume()

    asks = threading.Thread(target=draw)

    def step(self: Any, number: int) -> Any:
        if self.number_of_steps == 3:
            asks.start()
        if self.number_of_steps == 5:
            assert asks.is_alive() and places(model) != home
            control.pause()
        self.number_of_steps += 1
        order.append("step")
        return real(self, number)

    monkeypatch.setattr(Loop, "number_of_steps", 0, raising=False)
    monkeypatch.setattr(Loop, "step", step)
    full_at_first(monkeypatch)
    result = train(made, host=host, control=control, quiet=True)
    asks.join(30)
    assert result.outcome == "finished", result.message
    # The two that are tried and four of the run's, the picture, and the two that are left.
    assert order == ["step"] * 6 + ["picture"] + ["step"] * 2, order


def test_a_run_that_fails_alone_puts_everything_back_and_lets_go(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny.recipe(data, tmp_path, "save.every=0", "method.text_encoder=false")
    host, model = host_of(made)
    before, home, real, away = bits(model), places(model), Loop.step, []

    def step(self: Any, number: int) -> Any:
        if number == 2:
            away.append(places(model) != home)
            raise OSError("The disk is full")
        return real(self, number)

    monkeypatch.setattr(Loop, "step", step)
    full_at_first(monkeypatch)
    result = train(made, host=host, quiet=True)
    assert result.outcome == "failed" and away == [True], result.message
    assert bits(model) == before
    StandaloneHost(made.model, "cpu", host.shelf).draw(Drawing("a cat", steps=1, size=64))  # the lock is free


@pytest.mark.parametrize("room", ["when it is let go", "at the end", "never"])
def test_a_full_memory_leaves_nothing_aside_that_there_is_room_for(
    room: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the step that ran out of it had computed goes first. One tensor too many stays the only one, until the model
    is given back; if there is no room then either, it is said.
    """
    made = tiny.recipe(data, tmp_path, "save.every=0", "method.text_encoder=false")
    host, model = host_of(made)
    before, real, moved = bits(model), Loop.loss, aside.moved
    computed: list[weakref.ref[torch.Tensor]] = []
    back: list[int] = []
    tries: list[int] = []

    def loss(self: Loop, batch: Any, step: int, micro: int) -> torch.Tensor:
        result = real(self, batch, step, micro)
        if step == 2:
            computed.append(weakref.ref(result))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return result

    def full(parameter: torch.nn.Parameter, device: Any) -> torch.Tensor:
        if computed:
            tries.append(id(parameter))
            full_still = {"when it is let go": 0, "at the end": 2, "never": 99}[room]
            if computed[0]() is not None or (parameter is stuck and tries.count(id(stuck)) <= full_still):
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            back.append(id(parameter))
        return moved(parameter, device)

    stuck = next(value for name, value in model.items() if name.startswith("vae."))
    monkeypatch.setattr(Loop, "loss", loss)
    monkeypatch.setattr(aside, "moved", full)
    full_at_first(monkeypatch)
    result = train(made, host=host, quiet=True)
    assert result.outcome == "failed" and result.message.startswith("The GPU's memory is full"), result.message
    wanted = {id(value) for name, value in model.items() if not name.startswith("unet.")}
    assert set(back) == (wanted if room != "never" else wanted - {id(stuck)}) and len(back) == len(set(back))
    assert ("load the checkpoint again" in capfd.readouterr().err) == (room == "never")
    assert bits(model) == before
    StandaloneHost(made.model, "cpu", host.shelf).draw(Drawing("a cat", steps=1, size=64))  # the lock is free
