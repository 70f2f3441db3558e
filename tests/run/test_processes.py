"""A run in two processes: the curve of one with the doubled batch, one set of saves, and one end for both."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sdft_ext.cli.main import FAILED, OK, USAGE
from sdft_ext.recipe import Recipe, RecipeError
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import train
from sdft_ext.train.launch import launched
from sdft_ext.train.processes import ALONE, Processes, check
from tests.run import tiny, two_processes

ROOT = Path(__file__).parents[2]
CLOSE = 1e-4
CHANCE = (
    "train.noise_offset=0.05",
    "train.multires_iterations=2",
    "train.input_perturbation=0.1",
    "dataset.latents=random",
    "dataset.crop=random",
    "dataset.flip=0.5",
    "dataset.shuffle_tags=true",
    "dataset.caption_dropout=0.2",
)
"""Whatever is drawn for each picture of a batch."""
PRIOR = ("train.class_preservation=0.5", "train.blank_preservation=0.5", "train.ema=0.9", "train.prior_loss_weight=0.5")
METHODS = {
    "lora": ("method.text_encoder=true", "train.accumulation=2", *CHANCE, *PRIOR),
    "lora, captions kept": ("method.text_encoder=false", "train.optimizer=prodigy", "train.learning_rate=1"),
    "full": ("method.name=full", "train.learning_rate=1e-4", "train.optimizer=adafactor", *PRIOR),
    "textual_inversion": ("method.name=textual_inversion", "train.accumulation=2", "train.masked_loss=true"),
    "hypernetwork": ("method.name=hypernetwork", "train.clip_norm=0"),
}
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and a fork server")


@pytest.fixture
def uneven(data: Path, tmp_path: Path) -> str:
    """The setting for a folder in which two captions are longer than a text encoder reads at once."""
    folder = tmp_path / "uneven"
    shutil.copytree(data / "instance", folder)
    for number in (1, 4):
        (folder / f"{number} cat.txt").write_text("a cat, " + ", ".join(f"a long word {i}" for i in range(40)))
    return f"dataset.concepts.0.instance={folder}"


def written(tmp_path: Path, recipe: Recipe) -> Path:
    path = tmp_path / "recipe.yaml"
    recipe_file.write(path, recipe)
    return path


def curves(one: Path, other: Path) -> list[float]:
    """How far two runs' losses lie apart, step by step."""
    first, second = (tiny.losses(run) for run in (one, other))
    assert [line["step"] for line in first] == [line["step"] for line in second]
    return [abs(a["loss"] - b["loss"]) for a, b in zip(first, second, strict=True)]


@pytest.mark.parametrize(
    "name", ["lora", *(pytest.param(name, marks=pytest.mark.slow) for name in METHODS if name != "lora")]
)
def test_two_processes_are_one_with_the_doubled_batch(name: str, data: Path, uneven: str, tmp_path: Path) -> None:
    settings = ["train.length=6", "train.learning_rate=1e-3", "save.every=3", uneven, *METHODS[name]]
    path = written(tmp_path, tiny.recipe(data, tmp_path / "two", *settings))
    assert two_processes.train(path) == [OK, OK]
    one = train(
        tiny.recipe(data, tmp_path, *settings, "train.batch_size=4"), folder=tmp_path / "one", quiet=True
    ).folder
    two = tmp_path / "two" / "tiny"
    assert max(curves(one, two)) <= CLOSE
    assert sorted(path.name for path in one.rglob("*") if "tfevents" not in path.name) == sorted(
        path.name for path in two.rglob("*")
    )
    facts = json.loads((two / "report.json").read_text())
    assert facts["processes"] == 2 and facts["readback_max_diff"] < 1e-2


@pytest.mark.slow
def test_another_process_that_dies_ends_the_run_and_it_can_be_resumed(data: Path, tmp_path: Path) -> None:
    settings = ["train.length=30", "train.learning_rate=1e-3", "save.every=0", "save.state_every=2"]
    path = written(tmp_path, tiny.recipe(data, tmp_path, *settings))
    assert two_processes.train(path, f"save.output={tmp_path / 'whole'}") == [OK, OK]
    processes, run, whole = two_processes.start("train", str(path)), tmp_path / "tiny", tmp_path / "whole" / "tiny"
    until(lambda: steps(run) >= 5)
    processes[1].kill()
    assert two_processes.ended(processes) == [FAILED, -signal.SIGKILL]
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "failed" and "Another process" in status["message"]
    assert 5 <= steps(run) < 30
    with pytest.raises(RecipeError, match="--num_processes 2"):
        train(recipe_file.read(path), folder=run, quiet=True)
    assert two_processes.resume(run) == [OK, OK]
    assert tiny.losses(run) == tiny.losses(whole) and tiny.last_state(run) == tiny.last_state(whole)
    assert tiny.saved(run) == tiny.saved(whole)


def test_a_wrong_recipe_lets_the_others_go(data: Path, tmp_path: Path) -> None:
    path = written(tmp_path, tiny.recipe(data, tmp_path))
    assert two_processes.train(path, "train.batch_size=0") == [USAGE, OK]
    assert two_processes.train(path, "method.lora.dropout=0.1")[0] == USAGE


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in list(os.environ):
        if name.startswith(("ACCELERATE_", "WORLD_SIZE", "MASTER_", "TORCHELASTIC_")):
            monkeypatch.delenv(name)
    yield monkeypatch


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed"),
        ({"ACCELERATE_USE_FSDP": "true"}, "FSDP"),
        ({"ACCELERATE_USE_MEGATRON_LM": "true"}, "Megatron-LM"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "MPI"),
        ({"ACCELERATE_USE_CPU": "True", "MASTER_PORT": "29500"}, "--multi_gpu"),
        ({"ACCELERATE_MIXED_PRECISION": "fp16"}, "train.precision"),
        ({"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"}, "--dynamo_backend"),
        ({"TORCHELASTIC_MAX_RESTARTS": "3"}, "--max_restarts"),
        ({"WORLD_SIZE": "2", "MASTER_PORT": "0"}, "--main_process_port"),
    ],
)
def test_what_the_launcher_can_not_have_is_named(
    asked: dict[str, str], named: str, environment: pytest.MonkeyPatch
) -> None:
    for name, value in asked.items():
        environment.setenv(name, value)
    with pytest.raises(RecipeError, match=named), launched():
        pass


def test_one_process_launched_is_as_good_as_none(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ACCELERATE_MIXED_PRECISION", "no")
    with launched() as processes:
        assert processes is ALONE
    environment.setenv("ACCELERATE_USE_CPU", "True")
    with launched() as processes:
        assert processes.count == 1 and processes.device == "cpu"


@pytest.mark.parametrize(
    ("settings", "dropout", "named"),
    [
        (["train.optimizer=adamw8bit"], False, "adamw8bit"),
        (["train.compile=true"], False, "train.compile"),
        ([], True, "method.lora.dropout"),
    ],
)
def test_what_several_processes_can_not_do_is_named(
    settings: list[str], dropout: bool, named: str, data: Path, tmp_path: Path
) -> None:
    recipe, two = tiny.recipe(data, tmp_path, *settings), Processes()
    two.count = 2
    check(recipe, ALONE, dropout)
    with pytest.raises(RecipeError, match=named):
        check(recipe, two, dropout)


@pytest.mark.slow
def test_accelerate_launch(data: Path, tmp_path: Path) -> None:
    """Fifty steps by `accelerate launch`: stopped by Ctrl-C, resumed, killed, resumed; the curve is that of one
    process.
    """
    settings = [
        "train.length=50",
        "train.learning_rate=1e-3",
        "train.accumulation=2",
        "save.every=20",
        "save.state_every=4",
    ]
    path, run = written(tmp_path, tiny.recipe(data, tmp_path, *settings)), tmp_path / "tiny"

    process = accelerate("train", str(path))
    until(lambda: steps(run) >= 3, process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    stopped = steps(run)
    assert json.loads((run / "status.json").read_text())["state"] == "stopped", said
    assert 3 <= stopped < 50 and "resume goes on" in said

    process = accelerate("resume", str(run))
    until(lambda: steps(run) >= stopped + 5, process)
    for number in [*children(process.pid), process.pid]:
        os.kill(number, signal.SIGKILL)
    process.communicate(timeout=60)
    assert steps(run) < 50

    process = accelerate("resume", str(run))
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    one = train(tiny.recipe(data, tmp_path, *settings, "train.batch_size=4"), folder=tmp_path / "one", quiet=True)
    difference = max(curves(one.folder, run))
    assert difference <= CLOSE, difference
    assert len(tiny.steps(run)) == 50
    expected = {*(path.name for path in one.saves), f"tiny-{stopped:06d}.safetensors"}
    assert set(tiny.saved(run)) == expected, "one set of saves, and the one of the stop"


def accelerate(*arguments: str) -> subprocess.Popen[str]:
    """`accelerate launch` from the repository's root, in a session of its own."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    return subprocess.Popen(
        [*launch, "-m", "sdft_ext", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def children(number: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(number).children(recursive=True)]


def steps(run: Path) -> int:
    return max((line["step"] for line in tiny.losses(run)), default=0) if (run / "log.jsonl").exists() else 0


def until(true: Callable[[], bool], process: subprocess.Popen[str] | None = None, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        if process is not None and process.poll() is not None:
            raise AssertionError(process.communicate()[1])
        time.sleep(0.02)
