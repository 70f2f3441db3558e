"""What every host promises to a run, and every run to its host: the same tests for each.

Here they ask the standalone host. ``test_webui.py`` runs this file once more inside a WebUI's process, where it asks
the WebUI's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from PIL import Image

from sdft_ext.control import RunControl
from sdft_ext.host.base import HostChanged, HostError
from sdft_ext.method.lora import LoraMethod
from sdft_ext.recipe import Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import RunResult, train
from sdft_ext.run.turns import Turns
from sdft_ext.run_folder.facts import read_facts
from sdft_ext.run_folder.log import read as read_log
from sdft_ext.toy.install import CHECKPOINT
from tests.host import host_adapters
from tests.host.host_actions import Going
from tests.host.host_adapters import World, checksums, flags
from tests.run import tiny
from tests.run.test_memory_mode import full_at_first

PROMPT = "a red circle on a white background"
STEPS = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return host_adapters.world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    tiny.pictures(folder)
    return folder


@pytest.fixture(autouse=True)
def left_as_it_was(world: World) -> Iterator[None]:
    """Every test here ends with the host's tensors and flags as they were before it, whatever its run came to."""
    world.load_former()
    world.picture(PROMPT)
    tensors, before = checksums(world), flags(world)
    yield
    world.load_former()
    world.picture(PROMPT)
    assert checksums(world) == tensors
    assert flags(world) == before


def recipe(pictures: Path, output: Path, *settings: str) -> Recipe:
    own = (f"train.length={STEPS}", "save.every=0", "train.learning_rate=1e-3", "method.lora.dropout=0.1")
    drawn = ('watch.concept_prompts=["a sks cat"]', "watch.every=3", "watch.validation_every=4")
    found = tiny.recipe(pictures, output, *own, *drawn, f"model.base={CHECKPOINT}")
    return recipe_file.override(found, [*settings])


class Whole:
    """An undisturbed run."""

    def __init__(self, world: World, pictures: Path, folder: Path) -> None:
        self.recipe = recipe(pictures, folder)
        self.result = train(self.recipe, folder=folder / "whole", host=world.host(), quiet=True)
        assert self.result.outcome == "finished", self.result.message

    def same(self, other: RunResult) -> None:
        assert other.outcome == "finished", other.message
        assert tiny.losses(other.folder) == tiny.losses(self.result.folder)
        assert tiny.tensors(other.saves[-1]) == tiny.tensors(self.result.saves[-1])
        assert tiny.last_state(other.folder) == tiny.last_state(self.result.folder)
        pictures = [sorted((run / "controls").rglob("step-*.png")) for run in (other.folder, self.result.folder)]
        assert [p.read_bytes() for p in pictures[0]] == [p.read_bytes() for p in pictures[1]]


@pytest.fixture(scope="module")
def whole(world: World, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    world.load_former()
    return Whole(world, pictures, tmp_path_factory.mktemp("whole"))


def test_nothing_is_copied(world: World) -> None:
    with host_adapters.lent(world) as (_, model):
        theirs = list(world.parameters().values())
        objects, memory = {id(p) for p in theirs}, {p.untyped_storage().data_ptr() for p in theirs}
        unet = list(model.unet.parameters())
        assert all(id(parameter) in objects for parameter in unet) and len(unet) > 200
        for module in model.modules:
            assert all(p.untyped_storage().data_ptr() in memory for p in module.parameters())


def test_a_turn_has_the_run_s_flags_and_puts_the_host_s_back(world: World, pictures: Path, tmp_path: Path) -> None:
    before, method = flags(world), LoraMethod()
    with host_adapters.lent(world) as (host, model):
        with host.turn():
            method.attach(model, recipe(pictures, tmp_path))
            assert not any(wanted for wanted, _ in ((p.requires_grad, p) for p in world_parameters(world)))
        assert flags(world) == before
        with host.turn():
            assert not any(p.requires_grad for p in world_parameters(world)), "the method's flags hold in each turn"
        method.detach()
        assert flags(world) == before


def world_parameters(world: World) -> list[torch.nn.Parameter]:
    """Without taking the lock, so that it can be read inside a turn."""
    if isinstance(world, host_adapters.StandaloneWorld):
        assert world.shelf.model is not None
        return [p for module in world.shelf.model.modules for p in module.parameters()]
    from modules import sd_models

    return list(sd_models.model_data.sd_model.parameters())


def test_turns_need_a_loan(world: World) -> None:
    with pytest.raises(RuntimeError, match="no model is borrowed"), world.host().turn():
        pass


def test_what_the_host_reports_about_itself(world: World) -> None:
    host = world.host()
    described, memory = host.describe(), host.memory()
    assert described.trainable and not described.why and described.name == "toy.safetensors"
    assert Path(described.path).is_file() and described.family == "sd1" and described.device == "cpu"
    assert described.dtype == "fp32"  # a CPU's
    assert 0 < memory.free_mb < memory.total_mb and memory.device == "CPU"
    assert host.files().base == described.path
    assert host.is_local() and host.may_add_folders()
    assert all(isinstance(folder, Path) for folder in host.allowed_folders())


def test_features_are_what_it_can(world: World, whole: Whole) -> None:
    host = world.host()
    names = [path.stem for path in whole.result.saves]
    if "tryout" in host.features:
        assert (world.picture(PROMPT, whole.result.saves[-1]) != world.picture(PROMPT)).any()
    else:
        from sdft_ext.host.base import Drawing

        with pytest.raises(HostError, match="txt2img"):
            host.draw(Drawing(PROMPT))
    nobody = Image.new("RGB", (96, 64), "grey")
    if "faces" in host.features:
        assert host.faces(nobody) == []
    else:
        with pytest.raises(HostError, match="let edges decide"):
            host.faces(nobody)
    files = host.files()
    if "load" in host.features:
        host.load(files)()
        assert host.files() == files
    else:
        with pytest.raises(HostError, match="names its own model"):
            host.load(files)
    for to in ("txt2img", "xyz"):
        if to in host.features:
            assert names[-1] in host.handover(to, whole.recipe, names, [], [])  # type: ignore[arg-type]
        else:
            with pytest.raises(HostError):
                host.handover(to, whole.recipe, names, [], [])  # type: ignore[arg-type]


def test_its_own_models_are_on_offer(world: World, tmp_path: Path) -> None:
    host = world.host()
    base = Path(host.files().base)
    assert base.resolve() in [path.resolve() for path in host.models("full")]
    assert all(
        path.is_file() for method in ("lora", "textual_inversion", "hypernetwork") for path in host.models(method)
    )
    if "txt2img" in host.features:
        assert host.checkpoint_name(base).startswith(base.name)
    with pytest.raises(HostError):
        host.checkpoint_name(tmp_path / "nothing.safetensors")


def test_the_same_picture_after_a_run(world: World, pictures: Path, tmp_path: Path) -> None:
    before = world.picture(PROMPT)
    assert (world.picture(PROMPT) == before).all(), "the same seed gives the same picture"
    result = train(recipe(pictures, tmp_path), folder=tmp_path / "run", host=world.host(), quiet=True)
    assert result.outcome == "finished", result.message
    assert (world.picture(PROMPT) == before).all()
    assert read_facts(result.folder)["readback_max_diff"] < 1e-3


def test_a_run_that_steps_alone_is_as_one_that_shares(
    world: World, pictures: Path, whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.picture(PROMPT)
    full_at_first(monkeypatch)
    alone = train(whole.recipe, folder=tmp_path / "alone", host=world.host(), quiet=True)
    whole.same(alone)
    assert read_facts(alone.folder)["mode"] == "exclusive"
    assert (world.picture(PROMPT) == before).all()


def test_the_host_s_own_weights_come_back_after_a_whole_model_s_training(
    world: World, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.picture(PROMPT)
    full_at_first(monkeypatch)
    made = recipe(pictures, tmp_path, "method.name=full", "method.text_encoder=false")
    alone = train(made, folder=tmp_path / "alone", host=world.host(), quiet=True)
    assert alone.outcome == "finished" and read_facts(alone.folder)["mode"] == "exclusive", alone.message
    assert (world.picture(PROMPT) == before).all()


def test_the_same_picture_after_a_stopped_run(world: World, pictures: Path, tmp_path: Path) -> None:
    before = world.picture(PROMPT)
    going = Going(recipe(pictures, tmp_path, "train.length=500"), tmp_path / "run", world.host())
    going.until(lambda: going.step >= 2)
    going.control.stop()
    assert going.end().outcome == "stopped"
    assert (world.picture(PROMPT) == before).all()


def test_the_same_picture_after_a_run_that_failed(world: World, pictures: Path, tmp_path: Path) -> None:
    before = world.picture(PROMPT)
    wild = ["train.learning_rate=1", "train.schedule=constant", "train.clip_norm=0", "method.lora.alpha=2000"]
    result = train(
        recipe(pictures, tmp_path, "train.length=300", *wild), folder=tmp_path / "run", host=world.host(), quiet=True
    )
    assert result.outcome == "failed" and "learning" in result.message, result
    assert (world.picture(PROMPT) == before).all()


def test_the_same_picture_after_a_program_error(world: World, pictures: Path, tmp_path: Path) -> None:
    before = world.picture(PROMPT)
    folder = tmp_path / "run"
    going = Going(recipe(pictures, tmp_path, "train.length=500"), folder, world.host())
    going.until(lambda: going.step >= 2)
    for _ in range(1000):  # the run writes it meanwhile
        (folder / "status.json").unlink(missing_ok=True)
        with suppress(FileExistsError):
            (folder / "status.json").mkdir()  # writing it fails from now on
            break
    assert "status.json" in going.end().message
    assert (world.picture(PROMPT) == before).all()


def test_pictures_with_another_lora_during_a_run(world: World, whole: Whole, tmp_path: Path) -> None:
    """The run can't be seen in the pictures, nor the pictures in the run."""
    plain, with_lora = world.picture(PROMPT), world.picture(PROMPT, whole.result.saves[-1])
    assert (plain != with_lora).any()
    going = Going(whole.recipe, tmp_path / "run", world.host())
    for step in range(1, STEPS - 1, 2):
        going.until(lambda step=step: going.step >= step)  # type: ignore[misc]
        assert going.thread.is_alive(), "the training was over before the picture"
        assert (world.picture(PROMPT, whole.result.saves[-1]) == with_lora).all()
        assert (world.picture(PROMPT) == plain).all()
        world.picture(PROMPT, whole.result.saves[-1])
    whole.same(going.end())


@pytest.mark.parametrize("in_place", [False, True])
def test_another_model_pauses_the_run(world: World, whole: Whole, tmp_path: Path, in_place: bool) -> None:
    going = Going(whole.recipe, tmp_path / "run", world.host())
    going.until(lambda: going.step >= 2)
    world.load_other(in_place)
    going.paused()
    message = going.status()["message"]
    assert "other.safetensors" in message and "toy.safetensors" in message and "go" in message
    assert going.thread.is_alive()
    world.load_former()
    whole.same(going.end())


def test_a_run_that_waits_can_be_stopped(world: World, whole: Whole, tmp_path: Path) -> None:
    going = Going(whole.recipe, tmp_path / "run", world.host())
    going.until(lambda: going.step >= 3)
    world.load_other()
    going.paused()
    step = going.step
    going.control.stop()
    result = going.end()
    assert result.outcome == "stopped" and f"step {step} of {STEPS}" in result.message
    assert len(result.saves) == 1, "its weights are the run's own: they can be saved all the same"
    assert going.status()["state"] == "stopped"
    going = Going(whole.recipe, tmp_path / "run", world.host())
    if not world.loads_what_is_borrowed:
        # The other model is still loaded: the resumed run waits for its own.
        going.paused()
        assert "toy.safetensors" in going.status()["message"]
        world.load_former()
    result = going.end()
    assert tiny.losses(result.folder) == tiny.losses(whole.result.folder)
    assert tiny.tensors(result.saves[-1]) == tiny.tensors(whole.result.saves[-1])
    steps = [int(path.stem.partition("-")[2]) for path in (result.folder / "controls").rglob("step-*.png")]
    assert set(steps) >= {0, 3, 6, 8}, "what was owed at the stop is drawn"


def test_an_unloaded_model_is_had_back(world: World, whole: Whole, tmp_path: Path) -> None:
    going = Going(whole.recipe, tmp_path / "run", world.host())
    going.until(lambda: going.step >= 2)
    world.unload()
    whole.same(going.end())


@pytest.mark.parametrize("at", [3, 9])
def test_a_step_that_was_disturbed_is_done_over(world: World, whole: Whole, tmp_path: Path, at: int) -> None:
    """In the middle of a forward pass the host throws its model away: in a step, and while control pictures are
    drawn.
    """
    host = world.host()
    calls = iter(range(1, 10_000))

    def disturb(*_: object) -> None:
        if next(calls) == at:
            world.throw_away()

    borrow = host.borrow

    def borrowed() -> object:
        model = borrow()
        model.unet.mid_block.register_forward_pre_hook(disturb)
        return model

    host.borrow = borrowed  # type: ignore[method-assign, assignment]
    going = Going(whole.recipe, tmp_path / "run", host)
    whole.same(going.end())
    assert next(calls) > STEPS


def test_a_mistake_of_the_program_is_not_done_over(world: World) -> None:
    with host_adapters.lent(world) as (host, _):
        turns, tried = Turns(host, RunControl(), print), []
        turns._model = host.borrow()

        def work() -> None:
            tried.append(1)
            raise RuntimeError("wrong shape")

        with pytest.raises(RuntimeError, match="wrong shape"):
            turns.do(work)
        host.give_back()
    assert len(tried) == 1


def test_another_model_is_shown_at_once(world: World) -> None:
    with host_adapters.lent(world) as (host, _):
        with host.turn():
            pass
        world.load_other()
        with pytest.raises(HostChanged, match=r"other\.safetensors"), host.turn():
            pass
        world.load_former()
        with host.turn():
            pass


def test_nothing_is_locked_while_paused(world: World, whole: Whole, tmp_path: Path) -> None:
    going = Going(whole.recipe, tmp_path / "run", world.host())
    going.until(lambda: going.step >= 2)
    going.control.pause()
    going.paused()
    began = time.monotonic()
    world.picture(PROMPT)
    assert time.monotonic() - began < 10
    going.control.resume()
    whole.same(going.end())


def test_saves_lie_where_the_host_looks(world: World, whole: Whole, pictures: Path, tmp_path: Path) -> None:
    saves = whole.result.saves
    folder = world.folder_of_saves
    assert all(path.parent == (folder or whole.result.folder / "saves") for path in saves)
    assert (world.picture(PROMPT, saves[-1]) != world.picture(PROMPT)).any()
    if folder is None:
        return
    # A second run of this name, and one whose name a user's file in a subfolder has, take others: nothing is replaced.
    before = {path: path.read_bytes() for path in saves}
    (folder / "mine").mkdir(exist_ok=True)
    (folder / "mine" / "Taken.safetensors").write_bytes(b"mine")
    for name, stem in (("tiny", None), ("taken", "taken-2")):
        changed = recipe(pictures, tmp_path, f"save.name={name}", "train.length=2", "save.every=1")
        result = train(changed, host=world.host(), quiet=True)
        assert not set(before) & set(result.saves)
        chosen = read_facts(result.folder)["stem"]
        assert chosen != name and chosen == (stem or chosen)
        assert [path.name for path in result.saves] == [f"{chosen}-000001.safetensors", f"{chosen}.safetensors"]
    assert {path: path.read_bytes() for path in saves} == before
    assert (folder / "mine" / "Taken.safetensors").read_bytes() == b"mine"


def test_a_resumed_run_keeps_its_name(world: World, whole: Whole, tmp_path: Path) -> None:
    going = Going(whole.recipe, tmp_path / "run", world.host())
    going.until(lambda: going.step >= 2)
    going.control.stop()
    first = going.end().saves[-1]
    again = Going(whole.recipe, tmp_path / "run", world.host()).end()
    stem = first.stem.rpartition("-")[0]
    assert [path.stem for path in again.saves] == [first.stem, stem]


def test_try_now(world: World, whole: Whole, tmp_path: Path) -> None:
    """A temporary file of the training as it is, at once and while it is paused; the one before goes, all go at its
    end.
    """
    going = Going(whole.recipe, tmp_path / "run", world.host())
    folder = world.folder_of_saves or going.folder / "saves"
    tries = lambda: sorted(folder.glob("[!.]*-try-*.safetensors"))  # noqa: E731
    going.until(lambda: going.step >= 1)
    going.control.try_now()
    going.until(lambda: bool(tries()))
    first = tries()[0]
    going.control.pause()
    going.paused()
    assert (world.picture(PROMPT, tries()[0]) != world.picture(PROMPT)).any()
    going.control.resume()
    going.until(lambda: going.step >= int(first.stem[-6:]) + 1)
    going.control.pause()
    going.paused()
    going.control.try_now()
    logged = lambda: [line["file"] for line in read_log(going.folder) if line.get("event") == "try"]  # noqa: E731
    going.until(lambda: len(logged()) == 2)
    assert [path.name for path in tries()] == logged()[-1:] != [first.name]
    assert "-try-" not in "".join(path.read_text() for path in (going.folder / "saves").glob("index.json"))
    going.control.resume()
    whole.same(going.end())
    assert not tries()


def test_what_a_killed_run_left_to_try_is_removed(world: World, whole: Whole, pictures: Path, tmp_path: Path) -> None:
    changed = recipe(pictures, tmp_path, "save.name=killed", "train.length=2")
    result = train(changed, host=world.host(), quiet=True)
    left = result.saves[-1].with_name(f"{result.saves[-1].stem}-try-000001.safetensors")
    left.write_bytes(result.saves[-1].read_bytes())
    theirs = result.saves[-1].with_name(f"{result.saves[-1].stem}-try-mine.safetensors")
    theirs.write_bytes(b"mine")
    Going(changed, result.folder, world.host()).end()
    assert not left.exists() and theirs.exists()
    theirs.unlink()
