"""Lending in a real AUTOMATIC1111 WebUI, which the tests start by themselves."""

from __future__ import annotations

import time
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sdft_ext.recipe import file as recipe_file
from sdft_ext.toy.install import TOY
from tests.host.webui_process import PROMPT, ROOT, WEBUI, WebUI

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]


def test_the_contract_in_there(webui: WebUI) -> None:
    """``test_contract.py`` inside the WebUI's process, with the WebUI's host: all of it, nothing skipped."""
    report = webui.data / "contract.xml"
    code = webui.ask("/lending/contract", timeout=3000, report=str(report), folder=str(webui.data / "contract"))
    suite = next(iter(xml.etree.ElementTree.parse(report).getroot()))
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    said = [element.text for element in suite.iter("failure")] + [element.text for element in suite.iter("error")]
    print(counts)
    assert code == 0 and counts["failures"] == counts["errors"] == counts["skipped"] == 0, "\n".join(map(str, said))
    assert counts["tests"] >= 23


def write_recipe(folder: Path, *settings: str) -> Path:
    found = recipe_file.read(ROOT / "assets" / "example" / "subject.yaml")
    found.model.base = str(TOY / "toy.safetensors")
    found.save.output, found.save.name = str(folder / "runs"), "lent"
    found.save.every = 10
    found.train.length = 20
    found.train.batch_size = 4
    found.watch.concept_prompts, found.watch.bleeding_prompts = ["a red sks shape on a white background"], []
    found.watch.sampler_steps = 4
    path = folder / "recipe.yaml"
    recipe_file.write(path, recipe_file.override(found, settings))
    return path


@pytest.fixture(scope="module")
def run(webui: WebUI) -> dict[str, Any]:
    """Draw a picture, train with a picture requested meanwhile, draw it again; return what was observed."""
    figures: dict[str, Any] = {"loan": webui.ask("/lending/borrow"), "before": webui.picture(PROMPT)}
    figures["state before"] = webui.ask("/lending/state")
    webui.ask("/lending/train", recipe=str(write_recipe(webui.data)))
    lines = lambda: [*webui.data.glob("runs/lent/log.jsonl")]  # noqa: E731
    for _ in range(400):
        if lines() and lines()[0].read_text():
            break
        time.sleep(0.1)
    began = time.monotonic()
    figures["meanwhile"] = webui.picture(PROMPT)
    figures["meanwhile seconds"] = time.monotonic() - began
    figures["running"] = "seconds" not in webui.ask("/lending/outcome")
    figures["outcome"] = webui.trained()
    figures["state after"] = webui.ask("/lending/state")
    figures["after"] = webui.picture(PROMPT)
    return figures


def test_runs_to_the_end(run: dict[str, Any]) -> None:
    print({key: value for key, value in run["outcome"].items() if key != "saves"}, run["meanwhile seconds"])
    assert run["outcome"]["outcome"] == "finished", run["outcome"]


def test_nothing_is_copied(run: dict[str, Any]) -> None:
    loan = run["loan"]
    print(loan)
    assert loan["unet_shared"] == loan["unet_parameters"] > 200
    assert loan["copied_bytes"] == 0
    assert loan["shared"] + loan["views"] == loan["parameters"]


def test_pictures_are_served_during_training(run: dict[str, Any]) -> None:
    assert run["running"], "the training was over before the picture"
    assert (run["meanwhile"] == run["before"]).all(), "the training shows in the WebUI's pictures"


@pytest.mark.parametrize(
    "what", ["tensors", "objects", "requires_grad", "grads", "training", "keys", "forward", "hooks"]
)
def test_the_host_is_as_before(run: dict[str, Any], what: str) -> None:
    assert run["state after"][what] == run["state before"][what]


def test_the_same_picture_after(run: dict[str, Any]) -> None:
    assert (run["after"] == run["before"]).all()


def test_the_file_works_in_the_webui(webui: WebUI, run: dict[str, Any]) -> None:
    saves = [Path(path) for path in run["outcome"]["saves"]]
    assert saves[-1].parent == webui.data / "models" / "Lora"
    webui.ask("/sdapi/v1/refresh-loras", {})
    assert {path.stem for path in saves} <= {entry["name"] for entry in webui.ask("/sdapi/v1/loras")}
    changed = webui.picture(f"{PROMPT} <lora:{saves[-1].stem}:1>")
    assert (changed != run["before"]).any()


def test_its_layers_and_numbers_are_the_host_own(webui: WebUI, run: dict[str, Any]) -> None:
    file = run["outcome"]["saves"][-1]
    found = webui.ask("/lending/compare", file=file, prompt="a red sks shape on a white background")
    print(found)
    with safe_open(file, "pt") as opened:
        layers = {key.partition(".")[0] for key in opened.keys()}  # noqa: SIM118
    assert found["modules"] == len(layers)
    assert found["base"] < 1e-4 and found["context"] < 1e-4
    assert found["lora"] < 1e-4 and found["lora_context"] < 1e-4
    assert found["effect"] > 10 * found["lora"]
    assert found["put_back"]


def test_a_merged_lora_does_not_leak_into_a_turn(webui: WebUI, run: dict[str, Any]) -> None:
    webui.picture(f"{PROMPT} <lora:{Path(run['outcome']['saves'][-1]).stem}:1>")
    merged = webui.ask("/lending/state")["tensors"]
    assert merged != run["state before"]["tensors"], "the WebUI keeps the LoRA merged after a picture"
    assert webui.ask("/lending/clean")["tensors"] == run["state before"]["tensors"]


def test_patches_of_the_webui_modules_do_not_reach_ours(webui: WebUI) -> None:
    moved = webui.ask("/lending/patches")
    assert moved["theirs"] > 0.01, moved
    assert moved["ours"] == 0, moved


def test_another_checkpoint_ends_the_turns_and_the_previous_one_continues(webui: WebUI, run: dict[str, Any]) -> None:
    folder = webui.data / "models" / "Stable-diffusion"
    tensors = load_file(folder / "toy.safetensors")
    name = "model.diffusion_model.input_blocks.0.0.weight"
    save_file({**tensors, name: tensors[name] * 0.5}, folder / "other.safetensors")
    (folder / "other.yaml").write_bytes((folder / "toy.yaml").read_bytes())
    said = webui.ask("/lending/changed", checkpoint=str(folder / "other.safetensors"))
    assert "changed to other.safetensors" in said["other"] and "toy.safetensors" in said["other"]
    assert said["former"] == ""
    assert webui.ask("/lending/clean")["tensors"] == run["state before"]["tensors"]
