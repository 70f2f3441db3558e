"""Runs of version 0.1.0 are listed, shown and resumed."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image
from safetensors.torch import load_file

from sdft_ext.cli.main import main
from sdft_ext.host.standalone import StandaloneHost
from sdft_ext.recipe import ModelRecipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import resume
from tests.compatibility.earlier import WRITTEN, unpack

V1 = "/sdft/v1"
FINISHED, STOPPED, KILLED, WAITING = "cat", "cat-2", "killed", "waiting"
METHODS = sorted(path.name.removeprefix("method-") for path in (WRITTEN / "run_folders").glob("method-*"))
"""Each with a run that was killed after its third step; the state is that of the second."""
NEAR = 2e-3
"""Another processor rounds otherwise."""
HALVES, NEAR_HALF = ("full", "dreambooth"), 2**-7
"""Whole models' gradients are added up in bfloat16, whose numbers lie so far apart."""


def got(client: TestClient, path: str) -> Any:
    answer = client.get(f"{V1}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def log(run: Path) -> list[str]:
    return (run / "log.jsonl").read_text(encoding="utf-8").splitlines()


def numbers(lines: list[str]) -> dict[int, dict[str, Any]]:
    """The lines with a loss, by their step."""
    return {line["step"]: line for line in map(json.loads, lines) if "loss" in line}


def events(lines: list[str]) -> list[tuple[int, str]]:
    return [(line["step"], line["event"]) for line in map(json.loads, lines) if "event" in line]


def test_every_run_is_listed(client: TestClient) -> None:
    listed = {run["id"]: run for run in got(client, "runs")["runs"]}
    assert set(listed) == {FINISHED, STOPPED, KILLED, WAITING, *(f"method-{name}" for name in METHODS)}
    shown = {id: (run["name"], run["state"], run["step"], run["total"], run["saves"]) for id, run in listed.items()}
    assert shown[FINISHED] == ("cat", "finished", 6, 6, 2)
    assert shown[STOPPED] == ("cat", "stopped", 3, 6, 2)
    assert shown[KILLED][:2] == ("killed", "stopped") and shown[KILLED][3:] == (6, 2)
    assert shown[WAITING] == ("waiting", "waiting", 0, 0, 0)


def test_a_finished_run_shows_all_that_it_has(client: TestClient) -> None:
    full = got(client, f"runs/{FINISHED}")
    assert full["recipe"]["dataset"]["concepts"][0]["name"] == "Minka" and 'trigger: "sks"' in full["yaml"]
    assert [(save["name"], save["step"], save["last"]) for save in full["saves"]] == [
        ("cat-000004", 4, False),
        ("cat", 6, True),
    ]
    assert full["controls"]["steps"] == [0, 2, 4, 6]
    assert [(p["set"], p["prompt"], p["seed"]) for p in full["controls"]["prompts"]] == [
        ("concept", "a sks cat", 1000),
        ("bleeding", "a cat", 1001),
    ]
    assert full["report"].startswith("# cat") and full["verdict"] == "fine" and full["advice"] and full["grid"]
    assert full["facts"]["dataset"]["pictures"] == 12 and full["facts"]["train_seconds"] > 0
    assert (4, "save") in [(mark["step"], mark["event"]) for mark in full["marks"]]
    for path in ("grid", "loss", "controls/concept/0/0", "controls/bleeding/0/6"):
        answer = client.get(f"{V1}/runs/{FINISHED}/{path}")
        assert Image.open(io.BytesIO(answer.content)).format == "PNG", path
    lines = got(client, f"runs/{FINISHED}/status?since=0")["lines"]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3, 4, 5, 6]


def test_two_runs_are_compared(client: TestClient) -> None:
    found = got(client, f"compare?a={FINISHED}&b={WAITING}")["differences"]
    assert {"path": "train.length", "label": "Length", "a": 6, "b": 2} in found


def test_a_picture_that_the_page_made_a_preview_is_replaced_unasked(client: TestClient) -> None:
    body = {"set": "concept", "number": 0, "step": 2, "save": 4}
    assert client.post(f"{V1}/runs/{FINISHED}/preview", json=body).status_code == 200


def test_saves_in_a_hosts_folders_are_found(client: TestClient, home: Path) -> None:
    """A run's index may name files anywhere, and further ones that belong to a save."""
    (save,) = got(client, "runs/method-pivotal")["saves"]
    assert (home / "models" / "Lora" / save["file"]).is_file()
    files = [file["path"] for file in got(client, "tools")["files"] if file["group"] == "Saves of runs"]
    assert str(home / "models" / "Lora" / save["file"]) in files
    assert client.post(f"{V1}/runs/method-pivotal/trash", json={"saves": True}).status_code == 200
    assert not list((home / "models").rglob("*.safetensors"))
    assert len(list((home / "runs" / "trash" / "method-pivotal" / "saves").glob("*.safetensors"))) == 2


@pytest.mark.parametrize("run", [FINISHED, STOPPED])
def test_a_report_is_written_again_from_the_folder(run: str, home: Path) -> None:
    folder = home / "runs" / run
    before = json.loads((folder / "report.json").read_text())
    assert before.pop("advice"), "a sentence: it may be worded better"
    for name in ("report.json", "report.md", "loss.png"):
        (folder / name).unlink()
    assert main(["report", str(folder)]) == 0
    after = json.loads((folder / "report.json").read_text())
    rows = zip(before.pop("save_table"), after["save_table"], strict=True)
    assert all({name: now[name] for name in row} == row for row, now in rows), "what is new since stands beside"
    assert {name: after[name] for name in before} == before and after["advice"]
    assert (folder / "report.md").is_file() and (folder / "loss.png").is_file()


@pytest.fixture(scope="module")
def resumed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs, once the stopped one has gone on to its end."""
    runs = unpack(data, tmp_path_factory.mktemp("earlier") / "home") / "runs"
    result = resume(runs / STOPPED, quiet=True)
    assert result.outcome == "finished", result.message
    return runs


def test_a_stopped_run_continues_from_its_state(resumed: Path) -> None:
    run, whole, before = resumed / STOPPED, resumed / FINISHED, WRITTEN / "run_folders" / STOPPED
    assert max(numbers(log(before))) == 3
    assert log(run)[: len(log(before))] == log(before), "no line is lost, and none is written again"
    found, undisturbed = numbers(log(run)), numbers(log(whole))
    assert list(found) == [1, 2, 3, 4, 5, 6]
    for step in (4, 5, 6):
        for name in ("epoch", "loss", "smoothed", "lr/unet", "gradient_norm"):
            assert found[step][name] == pytest.approx(undisturbed[step][name], rel=NEAR), (step, name)
    first = Path("controls", "concept", "00", "step-000000.png")
    assert (run / first).read_bytes() == (before / first).read_bytes(), "it isn't drawn again"
    assert len(list((run / "tensorboard").iterdir())) == 2
    seconds = [json.loads((folder / "facts.json").read_text())["train_seconds"] for folder in (before, run)]
    assert seconds[0] < seconds[1]


def test_a_resumed_run_ends_as_the_undisturbed_one_did(resumed: Path) -> None:
    run, whole = resumed / STOPPED, resumed / FINISHED
    assert set(events(log(run))) - set(events(log(whole))) == {(3, "save")}
    assert set(events(log(whole))) <= set(events(log(run)))
    one, other = (json.loads((folder / "saves" / "index.json").read_text()) for folder in (run, whole))
    assert [(save["file"], save["step"]) for save in one] == [(save["file"], save["step"]) for save in other]
    assert sorted(path.name for path in (run / "state").iterdir()) == ["step-000004", "step-000006"]
    stopped = WRITTEN / "run_folders" / STOPPED / "saves" / "cat-000003.safetensors"
    found, wanted, began = (
        load_file(path) for path in (*(f / "saves" / "cat.safetensors" for f in (run, whole)), stopped)
    )
    assert found.keys() == wanted.keys()
    assert apart(found, wanted) < NEAR * apart(began, wanted)


def test_a_runs_recipe_is_not_changed_by_a_resume(resumed: Path, home: Path) -> None:
    here, there = (
        json.dumps(dataclasses.asdict(recipe_file.read(f / STOPPED / "recipe.yaml"))) for f in (resumed, home / "runs")
    )
    assert here.replace(str(resumed.parent), str(home)) == there


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The length of the difference."""
    return float(sum(((one[name] - other[name]) ** 2).sum() for name in other)) ** 0.5


@pytest.mark.parametrize("name", METHODS)
def test_a_run_of_each_method_continues_from_its_state(name: str, home: Path) -> None:
    run = home / "runs" / f"method-{name}"
    before = log(run)
    kept = [line for line in before if json.loads(line)["step"] <= 2]
    assert max(numbers(before)) == 3

    result = resume(run, host=Lender(home, name), quiet=True)

    assert result.outcome == "finished", result.message
    assert log(run)[: len(kept)] == kept
    again, then = (numbers(lines)[3] for lines in (log(run), before))
    assert list(numbers(log(run))) == [1, 2, 3, 4]
    for number in then.keys() - {"time", "pictures_per_second", "memory_mb"}:
        assert again[number] == pytest.approx(then[number], rel=NEAR_HALF if name in HALVES else NEAR), number
    lossy = name == "full"  # saved as a LoRA of a small rank
    assert lossy or json.loads((run / "report.json").read_text())["readback_max_diff"] < 1e-5
    assert result.saves[-1].is_file()


class Lender(StandaloneHost):
    """Lends the model; the saves of pivotal tuning lie in its own folders, as in a WebUI."""

    def __init__(self, home: Path, method: str) -> None:
        super().__init__(ModelRecipe(base=str(home / "base.safetensors")))
        self.places = {"pivotal": home / "models" / "Lora", "textual_inversion": home / "models" / "embeddings"}
        self.method = method

    def saves_folder(self, method: str) -> Path | None:
        return self.places[method] if self.method == "pivotal" else None
