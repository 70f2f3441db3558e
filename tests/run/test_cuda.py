"""What only a GPU shows: every method trains as on a CPU, the trial step measures what a run needs, and a
full memory ends in a sentence with everything of the host's as it was.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import gpu
from sdft_ext.control import RunControl
from sdft_ext.host.standalone import Shelf, StandaloneHost
from sdft_ext.method import METHODS
from sdft_ext.recipe import ADAPTERS, Recipe
from sdft_ext.run import RunResult, resume, train
from sdft_ext.run_folder.facts import read_facts
from tests.run import tiny
from tests.run.step_hooks import Between
from tests.run.test_methods import recipe

pytestmark = [pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"), pytest.mark.slow]
MB = 2**20
ALL = 1.0


@pytest.fixture(autouse=True)
def whole_memory() -> Iterator[None]:
    """The whole GPU again, whatever a test left of it."""
    yield
    torch.cuda.set_per_process_memory_fraction(ALL)
    torch.cuda.empty_cache()


def leave(more_mb: float) -> None:
    """From now on this process may take so much more than it has."""
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(min((torch.cuda.memory_reserved() + more_mb * MB) / total, ALL))


@pytest.fixture(scope="module", autouse=True)
def begun() -> None:
    """torch takes some memory for itself with the first product."""
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        square = torch.randn(64, 64, device="cuda", dtype=dtype, requires_grad=True)
        torch.nn.functional.linear(square, square, square[0]).sum().backward()
    torch.cuda.empty_cache()


def lent(host: StandaloneHost) -> Any:
    """The host's model, loaded."""
    host.borrow()
    host.give_back()
    return host.shelf.model


def numbers(result: RunResult) -> list[float]:
    assert result.outcome == "finished", result.message
    return [line["loss"] for line in tiny.losses(result.folder)]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_as_on_a_cpu(name: str, precision: str, data: Path, tmp_path: Path) -> None:
    """Draws are the same on both; nothing of the host's changes, and no memory is kept."""
    quiet = ("method.lora.dropout=0", "method.lora.rank_dropout=0", "method.hypernetwork.dropout=", "train.length=3")
    slow = ("train.learning_rate=1e-4", "watch.concept_prompts=[a sks cat]")
    made = recipe(name, data, tmp_path, *quiet, *slow, f"train.precision={precision}", "save.precision=fp32")
    host = StandaloneHost(made.model, "cuda")
    before = tiny.bits(lent(host))
    taken = torch.cuda.memory_allocated()
    there = train(made, folder=tmp_path / "there", host=host, quiet=True)
    assert host.shelf.model is not None and tiny.bits(host.shelf.model) == before
    assert torch.cuda.memory_allocated() == taken
    facts = read_facts(there.folder)
    assert facts["mode"] == "shared" and 0 < facts["memory"]["needed_mb"] < facts["memory"]["free_mb"]
    made.train.precision = "fp32"
    here = train(made, folder=tmp_path / "here", host=StandaloneHost(made.model, "cpu"), quiet=True)
    close = {"fp32": 2e-3, "fp16": 1e-2, "bf16": 5e-2}[precision]
    assert numbers(there) == pytest.approx(numbers(here), rel=close)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_a_model_in_halves(name: str, precision: str, data: Path, tmp_path: Path) -> None:
    """As a WebUI has it on a GPU."""
    steady = ("train.length=3", "train.learning_rate=1e-4", "watch.concept_prompts=[a sks cat]")
    made = recipe(name, data, tmp_path, *steady, f"train.precision={precision}")
    shelf = gpu.shelf(Path(made.model.base))
    assert shelf.model is not None and shelf.model.dtype == torch.float16
    before = tiny.bits(shelf.model)
    result = train(made, folder=tmp_path / "run", host=StandaloneHost(made.model, shelf=shelf), quiet=True)
    assert all(map(math.isfinite, numbers(result)))
    assert tiny.bits(shelf.model) == before and shelf.model.dtype == torch.float16


@pytest.mark.parametrize("name", METHODS)
def test_stopped_and_resumed_is_as_never_stopped(name: str, data: Path, tmp_path: Path) -> None:
    """With what torch promises of ``train.deterministic``; the step that is tried comes twice in the resumed run."""
    made = recipe(name, data, tmp_path, "train.deterministic=true", "train.precision=fp16")
    whole = train(made, folder=tmp_path / "whole", quiet=True)
    control = RunControl()
    host = Between(made, tmp_path / "run", lambda done: control.stop() if done == 2 else None)
    assert train(made, folder=tmp_path / "run", control=control, host=host, quiet=True).outcome == "stopped"
    resumed = resume(tmp_path / "run", host=StandaloneHost(made.model), quiet=True)
    assert numbers(resumed) == numbers(whole)
    assert tiny.last_state(resumed.folder) == tiny.last_state(whole.folder)


@pytest.mark.parametrize("optimizer", ["adamw8bit", "adamw", "lion", "prodigy", "adafactor", "adamw_schedule_free"])
def test_optimizers_move_and_are_put_back(optimizer: str, data: Path, tmp_path: Path) -> None:
    """Full weights, whose tensors are large enough for 8-bit states; as without a step that is tried before."""
    if optimizer == "adamw8bit":
        pytest.importorskip("bitsandbytes")
    made = recipe("full", data, tmp_path, f"train.optimizer={optimizer}", "train.learning_rate=1e-4")
    made.train.deterministic = True
    one, other = (train(made, folder=tmp_path / name, quiet=True) for name in ("one", "other"))
    assert numbers(one) == numbers(other) and all(map(math.isfinite, numbers(one)))
    assert tiny.last_state(one.folder) == tiny.last_state(other.folder)


def test_compiled(data: Path, tmp_path: Path) -> None:
    plain = train(recipe("full", data, tmp_path), folder=tmp_path / "plain", quiet=True)
    compiled = train(recipe("full", data, tmp_path, "train.compile=true"), folder=tmp_path / "compiled", quiet=True)
    assert numbers(compiled) == pytest.approx(numbers(plain), rel=1e-2)


@pytest.mark.parametrize("checkpointing", ["false", "true"])
def test_ways_of_attention(checkpointing: str, data: Path, tmp_path: Path) -> None:
    settings = (f"train.checkpointing={checkpointing}", "train.length=3")
    fused = train(recipe("lora", data, tmp_path, *settings), folder=tmp_path / "fused", quiet=True)
    plain = train(recipe("lora", data, tmp_path, *settings, "train.sdpa=false"), folder=tmp_path / "plain", quiet=True)
    assert numbers(plain) == pytest.approx(numbers(fused), rel=1e-2)


def test_a_memory_that_fills_up_between_steps(data: Path, tmp_path: Path) -> None:
    """The run ends with a sentence, the host's model is what it was, and a resumed run ends as if nothing had been."""
    made = recipe("lora", data, tmp_path, "train.deterministic=true", "save.state_every=1")
    whole = train(made, folder=tmp_path / "whole", quiet=True)
    full: list[torch.Tensor] = []

    def fill(done: int) -> None:
        if done == 2 and not full:
            leave(0)
            block = 2**20
            try:
                while True:
                    full.append(torch.empty(block, dtype=torch.uint8, device="cuda"))
            except torch.cuda.OutOfMemoryError:
                pass

    host = Between(made, tmp_path / "run", fill)
    before = tiny.bits(lent(host))
    failed = train(made, folder=tmp_path / "run", host=host, quiet=True)
    full.clear()
    assert failed.outcome == "failed" and "The GPU's memory is full" in failed.message
    torch.cuda.set_per_process_memory_fraction(ALL)
    assert host.shelf.model is not None and tiny.bits(host.shelf.model) == before
    resumed = resume(tmp_path / "run", host=host, quiet=True)
    assert numbers(resumed) == numbers(whole)
    assert tiny.last_state(resumed.folder) == tiny.last_state(whole.folder)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Shelf]:
    """A checkpoint of SD 1.5's sizes, loaded in halves as the WebUI has it."""
    path = gpu.base(tmp_path_factory.mktemp("large"), "sd1")
    return path, gpu.shelf(path)


ALONE: dict[str, tuple[float, tuple[str, ...]]] = {
    "lora": (150, ()),
    "full": (500, ("method.full.weights=bf16", "train.optimizer=adafactor", "train.checkpointing=true")),
}
"""Megabytes by which the memory gets less from run to run, and settings."""


@pytest.mark.parametrize("name", ALONE)
def test_a_small_card_trains_alone(name: str, large: tuple[Path, Shelf], tmp_path: Path) -> None:
    """Where a step doesn't fit, what it doesn't need is offloaded, and restored bit for bit; less than
    that is refused before the run begins.
    """
    path, shelf = large
    less, settings = ALONE[name]
    quick = ("train.precision=bf16", "train.length=2", "train.text_encoder_learning_rate=0")
    made = gpu.recipe(path, "sd1", f"method.name={name}", *quick, *settings)
    made.method.text_encoder = False
    made.save.output = str(tmp_path)
    assert shelf.model is not None
    there = [value for module in shelf.model.modules for value in module.parameters()]
    before = [value.detach().clone() for value in there]

    def run(folder: str) -> RunResult:
        result = train(made, folder=tmp_path / folder, host=StandaloneHost(made.model, shelf=shelf), quiet=True)
        assert all(
            one.device == other.device and torch.equal(one, other) for one, other in zip(there, before, strict=True)
        )
        return result

    whole = run("whole")
    wanted = pytest.approx(numbers(whole), rel=1e-2)
    facts = read_facts(whole.folder)
    assert facts["mode"] == "shared"
    modes: list[str] = []
    room = facts["memory"]["needed_mb"] + 2 * less
    while True:
        leave(room)
        result = run(str(room))
        print(name, room, result.outcome, read_facts(result.folder).get("mode"), file=sys.stderr)
        if result.outcome == "failed":
            break
        assert numbers(result) == wanted
        modes.append(read_facts(result.folder)["mode"])
        room -= less
    assert result.message.startswith("The run did not begin: one step at 512×512") and not result.saves
    assert "exclusive" in modes and modes == sorted(modes, reverse=True)
    torch.cuda.set_per_process_memory_fraction(ALL)
    assert numbers(resume(result.folder, host=StandaloneHost(made.model, shelf=shelf), quiet=True)) == wanted


@pytest.mark.parametrize("name", [name for name in METHODS if name in ADAPTERS])
def test_the_tried_step_tells_what_steps_take(name: str, large: tuple[Path, Shelf], tmp_path: Path) -> None:
    path, shelf = large
    case = gpu.Case("sd1", (f"method.name={name}", "train.precision=bf16"))
    row = gpu.measure(case, path, shelf, tmp_path / "run")
    assert row.tried == pytest.approx(row.measured, rel=0.1)


def test_recipes_of_this_file_are_those_of_the_bench(large: tuple[Path, Shelf]) -> None:
    made = gpu.recipe(large[0], "sd1")
    assert isinstance(made, Recipe) and made.dataset.resolution == 512
