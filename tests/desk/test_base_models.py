"""The queue loads the base model of each run where that is allowed, and the user's own at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdft_ext.control import RunControl
from sdft_ext.desk.base_models import BaseModels
from sdft_ext.desk.run_queue import RunQueue
from sdft_ext.host.base import Files, HostChanged, HostError
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import turns
from sdft_ext.run.turns import ModelUnavailable, wait_for_model
from sdft_ext.run_folder.facts import read_facts
from sdft_ext.storage import json_file
from tests.desk import setting


class Loads:
    """A host that has one of several models loaded; ``missing`` can't be."""

    features = ("load",)

    def __init__(self) -> None:
        self.loaded = "own"
        self.log: list[str] = []

    def files(self) -> Files:
        return Files(self.loaded)

    def load(self, files: Files) -> Callable[[], None]:
        if files.base == "missing":
            raise HostError("It isn't there.")
        before, self.loaded = self.loaded, files.base
        self.log.append(files.base)

        def put_back() -> None:
            self.loaded = before
            self.log.append(f"back to {before}")

        return put_back


@pytest.fixture
def host() -> Loads:
    return Loads()


@pytest.fixture
def models(host: Loads, tmp_path: Path) -> BaseModels:
    return BaseModels(tmp_path / "base_models.json", lambda: host)  # type: ignore[arg-type, return-value]


def test_nothing_is_loaded_before_it_is_allowed_and_that_is_remembered(
    models: BaseModels, host: Loads, tmp_path: Path
) -> None:
    assert not models.allowed and not models.load("one", "") and host.log == []
    models.allow(True)
    assert BaseModels(tmp_path / "base_models.json", lambda: host).allowed  # type: ignore[arg-type, return-value]
    assert models.load("one", "") and not models.load("one", ""), "it is loaded already"
    models.allow(False)
    assert not models.load("two", "")


def test_the_users_own_model_is_loaded_again_after_several_runs(models: BaseModels, host: Loads) -> None:
    models.allow(True)
    for base in ("one", "two", "one"):
        assert models.load(base, "")
    host.loaded = "two"  # a run's, but not the one that was loaded last: the user has chosen it
    models.load("one", "")
    models.put_back()
    assert host.loaded == "two"
    models.put_back()
    assert host.log == ["one", "two", "one", "one", "back to two"], "once"


def test_several_loads_in_a_row_lead_back_to_the_first(models: BaseModels, host: Loads) -> None:
    models.allow(True)
    models.load("one", "")
    first = host.log.copy()
    models.load("two", "")
    models.put_back()
    assert (first, host.loaded) == (["one"], "own")


def test_a_model_that_the_user_chooses_meanwhile_stays(models: BaseModels, host: Loads) -> None:
    models.allow(True)
    models.load("one", "")
    host.loaded = "mine"
    models.put_back()
    assert host.loaded == "mine"


def test_where_none_is_loaded_the_users_own_is_still_the_one_before_all_runs(
    models: BaseModels, host: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.allow(True)
    models.load("one", "")
    with monkeypatch.context() as nothing:
        nothing.setattr(host, "files", lambda: (_ for _ in ()).throw(HostError("None is loaded.")))
        models.load("two", "")
    models.put_back()
    assert host.loaded == "own"


def test_a_load_that_changes_nothing_does_not_take_all_of_the_processor(
    models: BaseModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LOOK_AGAIN", 0.05)
    control, looks = RunControl(), [0]
    control.load_model = lambda base, vae: True

    def attempt() -> None:
        looks[0] += 1
        if looks[0] == 5:
            control.stop()
        raise HostChanged("Another one is loaded.")

    began = time.monotonic()
    with pytest.raises(ModelUnavailable):
        wait_for_model(attempt, control, lambda text: None, Files("one"))
    assert time.monotonic() - began >= 0.15


def test_the_queue_outlives_what_fails_at_its_end(tmp_path: Path) -> None:
    done: list[str] = []

    def fails() -> None:
        raise OSError("The file can't be read.")

    queue = RunQueue(tmp_path, tmp_path / "queue.json", lambda folder, control: done.append(folder.name), fails)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        queue.add(name)
        assert queue.wait(10)
    queue.close()
    assert done == ["a", "b"]


def test_a_run_that_waits_has_its_model_loaded(models: BaseModels, host: Loads) -> None:
    control = RunControl()
    control.load_model = models.load
    said: list[str] = []

    def attempt() -> str:
        if host.loaded != "one":
            raise HostChanged("Another one is loaded.")
        return "trains"

    models.allow(True)
    assert wait_for_model(attempt, control, said.append, Files("one")) == "trains"
    assert said == ["Another one is loaded."] and host.log == ["one"]


def test_what_cannot_be_loaded_is_tried_once_and_said(models: BaseModels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LOOK_AGAIN", 0.01)
    control, said = RunControl(), list[str]()
    control.load_model = models.load
    models.allow(True)
    looks = 0

    def attempt() -> None:
        nonlocal looks
        looks += 1
        if looks > 3:
            control.stop()
        raise HostChanged("Load that.")

    with pytest.raises(ModelUnavailable):
        wait_for_model(attempt, control, said.append, Files("missing"))
    assert said == ["Load that.", "Load that. It isn't there."]


def test_a_model_that_was_replaced_in_mid_run_is_loaded_after_a_while(
    models: BaseModels, host: Loads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LOOK_AGAIN", 0.01)
    now = [0.0]
    monkeypatch.setattr(turns.time, "monotonic", lambda: now.__setitem__(0, now[0] + 10) or now[0])
    control, looks = RunControl(), list[str]()
    control.load_model = models.load
    models.allow(True)

    def attempt() -> None:
        looks.append(host.loaded)
        if host.loaded != "one":
            raise HostChanged("The checkpoint was changed.")

    wait_for_model(attempt, control, lambda text: None, Files("one"), turns.PATIENCE)
    assert looks == ["own"] * 6 + ["one"], "sixty seconds, ten at each look"


def test_the_queue_ends_with_the_users_model(tmp_path: Path) -> None:
    """Once, after the last of the runs that wait."""
    for name in ("a", "b"):
        recipe_file.write(tmp_path / name / "recipe.yaml", recipe_file.from_plain({}))
    happened: list[str] = []
    queue = RunQueue(tmp_path, tmp_path / "queue.json", lambda folder, control: work(folder), lambda: end())

    def work(folder: Path) -> None:
        happened.append(folder.name)
        if folder.name == "a":
            queue.add("b")

    def end() -> None:
        happened.append("end")

    queue.add("a")
    assert queue.wait(10) and happened == ["a", "b", "end"]
    queue.close()


def test_a_queued_run_keeps_its_base_model_and_its_steps(data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    desk = setting.desk(data, tmp_path / "runs")
    monkeypatch.setattr(desk.queue, "add", lambda run: None)
    run = desk.runs.start(setting.values(data))
    folder = tmp_path / "runs" / run
    base = str(data / "base.safetensors")
    assert recipe_file.read(folder / "recipe.yaml").model.base == base
    assert read_facts(folder)["lent"] == {"base": base, "vae": ""}
    status = json_file.read(folder / "status.json")
    assert (status["state"], status["step"], status["total"]) == ("waiting", 0, 4)
    assert desk.library.summary(run)["base"] == "base.safetensors"
    desk.close()
