"""The extension in a real WebUI: its tab, its API, its axes of the X/Y/Z plot, and what its presence costs."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdft_ext import extension
from sdft_ext.host.webui import prompts
from sdft_ext.recipe import file as recipe_file
from tests.host.webui_process import PROMPT, ROOT, SEED, WEBUI, WebUI, started

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]
EXAMPLE = ROOT / "assets" / "example" / "subject"


class Client:
    """The API as the page uses it."""

    def __init__(self, ui: WebUI) -> None:
        self.ui = ui
        self.token = self.get("session")["token"]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ui.port}/sdft/v1/{path}", timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, **body: Any) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ui.port}/sdft/v1/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "X-SDFT-Token": self.token},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def until(self, run: str, *states: str, seconds: float = 300) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status: dict[str, Any] = self.get(f"runs/{run}/status?since=0")["status"]
            if status["state"] in states:
                return status
            time.sleep(0.05)
        raise AssertionError(f"{run} is {status}, not {states}")


def recipe(name: str, **changes: dict[str, Any]) -> dict[str, Any]:
    concept = {"name": "shape", "trigger": "sks", "class_word": "shape", "instance": str(EXAMPLE / "instance")}
    found: dict[str, Any] = {
        "dataset": {"concepts": [concept], "resolution": 64, "bucket_step": 16, "bucket_min": 32, "bucket_max": 128},
        "train": {"length": 12, "batch_size": 4, "learning_rate": 2e-3},
        "save": {"name": name, "every": 4, "every_unit": "steps"},
        "watch": {"concept_prompts": ["a red sks shape", "a blue sks shape, large"], "sampler_steps": 4},
    }
    for section, values in changes.items():
        found[section] = {**found[section], **values}
    return found


@pytest.fixture(scope="module")
def client(webui: WebUI) -> Client:
    return Client(webui)


@pytest.fixture(scope="module")
def trained(client: Client) -> dict[str, Any]:
    run = client.post("runs", recipe=recipe("grid"))["id"]
    status = client.until(run, "finished", "failed")
    assert status["state"] == "finished", status
    found: dict[str, Any] = client.get(f"runs/{run}")
    return found


def test_the_tab_is_there_and_nothing_of_it_freezes(webui: WebUI) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{webui.port}/config", timeout=60) as answer:
        config = json.load(answer)
    parts = {part["props"].get("elem_id"): part for part in config["components"]}
    assert "sdft_payload" in parts and "sdft_paste" in parts and f"tab_{extension.TAB}" in parts
    assert any("sdft_root" in str(part["props"].get("value", "")) for part in config["components"])
    kept = json.loads((webui.data / "ui-config.json").read_text())
    assert not [key for key in kept if key.startswith(f"{extension.TAB}/")]
    assert any(key.startswith("txt2img/") for key in kept)


def test_what_the_page_knows_of_the_host(client: Client, webui: WebUI) -> None:
    host = client.get("session")["host"]
    assert host["name"] == "webui" and host["features"] == ["txt2img", "xyz", "cards", "faces", "load"]
    assert host["model"]["trainable"] and host["model"]["name"] == "toy.safetensors" and host["model"]["why"] == ""
    assert Path(host["model"]["path"]).parent == webui.data / "models" / "Stable-diffusion"


def test_from_the_click_to_the_first_step(client: Client, trained: dict[str, Any]) -> None:
    """The example as it comes. The user has had the page open for a while, so that what training imports is there."""
    example = dataclasses.asdict(recipe_file.read(EXAMPLE.parent / "subject.yaml"))
    example["model"]["base"] = example["save"]["output"] = ""
    example["save"]["name"] = "quick"
    began = time.monotonic()
    run = client.post("runs", recipe=example)["id"]
    while client.get(f"runs/{run}/status?since=0")["status"]["step"] < 1:
        assert time.monotonic() - began < 60
        time.sleep(0.02)
    seconds = time.monotonic() - began
    slowest = 0.0
    for _ in range(20):
        asked = time.monotonic()
        client.get("runs")
        slowest = max(slowest, time.monotonic() - asked)
    client.post(f"runs/{run}/stop")
    client.until(run, "stopped")
    print(f"first step after {seconds:.2f} s; slowest of 20 answers while training {slowest:.3f} s")
    assert seconds <= 3
    assert slowest <= 0.5


def test_new_saves_are_on_the_cards(client: Client, webui: WebUI, trained: dict[str, Any]) -> None:
    names = [save["name"] for save in trained["saves"]]
    assert names == ["grid-000004", "grid-000008", "grid"]
    listed = {entry["name"]: entry for entry in webui.ask("/sdapi/v1/loras")}  # without a refresh
    assert set(names) <= set(listed)
    assert listed["grid"]["metadata"]["ss_output_name"] == "grid"


def test_the_recipe_of_the_run_names_the_lent_model(trained: dict[str, Any], webui: WebUI) -> None:
    assert trained["recipe"]["model"]["base"] == str(webui.data / "models" / "Stable-diffusion" / "toy.safetensors")


def grid(webui: WebUI, prompt: str, **axis: tuple[str, list[str]]) -> list[np.ndarray]:
    """Request the cells of an X/Y/Z plot over the API: choices in the dropdown, the rest as text."""
    labels, arguments = webui.ask("/lending/axes"), []
    for letter in "xyz":
        label, chosen = axis.get(letter, ("Nothing", []))
        dropdown = label == prompts.SAVE_AXIS
        arguments += [labels.index(label), "" if dropdown else ", ".join(chosen), chosen if dropdown else []]
    body = {
        "prompt": prompt, "seed": SEED, "steps": 8, "width": 64, "height": 64, "cfg_scale": 3.5,
        "sampler_name": "Euler a", "script_name": "x/y/z plot",
        "script_args": [*arguments, False, True, False, False, False, False, False, 0, False],
    }  # fmt: skip
    images = webui.ask("/sdapi/v1/txt2img", body)["images"]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB")) for image in images[1:]]


def test_a_grid_over_saves(webui: WebUI, trained: dict[str, Any]) -> None:
    names = [save["name"] for save in trained["saves"]]
    cells = grid(webui, f"{PROMPT} <lora:grid:1>", x=(prompts.SAVE_AXIS, ["none", *names]))
    alone = [webui.picture(PROMPT), *(webui.picture(f"{PROMPT} <lora:{name}:1>") for name in names)]
    assert len(cells) == 4
    for cell, picture in zip(cells, alone, strict=True):
        assert (cell == picture).all()
    assert (cells[0] != cells[-1]).any()


@pytest.mark.parametrize("order", ["xy", "yx"])
def test_a_grid_over_saves_and_weights(webui: WebUI, trained: dict[str, Any], order: str) -> None:
    """The prompt has no save in it: the axis puts it in, at the other axis's weight, whichever comes first."""
    saves, weights = (prompts.SAVE_AXIS, ["none", "grid"]), (prompts.WEIGHT_AXIS, ["0.5", "1"])
    cells = grid(webui, PROMPT, **{order[0]: saves, order[1]: weights})
    half, whole = (webui.picture(f"{PROMPT} <lora:grid:{weight}>") for weight in ("0.5", "1"))
    base = webui.picture(PROMPT)
    wanted = [base, half, base, whole] if order == "xy" else [base, base, half, whole]
    for cell, picture in zip(cells, wanted, strict=True):
        assert (cell == picture).all()
    assert (half != whole).any()


def test_an_unknown_save_is_an_error_message(webui: WebUI, trained: dict[str, Any]) -> None:
    with pytest.raises(urllib.request.HTTPError):
        grid(webui, PROMPT, x=(prompts.SAVE_AXIS, ["no such save"]))


@pytest.mark.parametrize("option", [{}, {"CLIP_stop_at_last_layers": 2, "randn_source": "CPU", "emphasis": "No norm"}])
def test_the_pasted_text_overrides_no_setting(
    client: Client, webui: WebUI, trained: dict[str, Any], option: dict[str, Any]
) -> None:
    former = {name: webui.ask("/sdapi/v1/options")[name] for name in option}
    webui.ask("/sdapi/v1/options", option or {"samples_save": True})
    try:
        body = {"saves": [4, 8, 12], "weights": [], "prompts": ["a red sks shape", "a (blue:1.2) sks shape, large"]}
        text = client.post(f"runs/{trained['id']}/handover", to="xyz", **body)["infotext"]
        pasted = webui.ask("/lending/pasted", infotext=text)
        assert pasted["overrides"] == []
        params = pasted["params"]
        assert params["Prompt"] == "a red sks shape <lora:grid:1>" and params["Script"] == "X/Y/Z plot"
        assert params["X Type"] == prompts.SAVE_AXIS and params["X Values"] == "none,grid-000004,grid-000008,grid"
        assert params["Y Type"] == "Prompt S/R"
        text = client.post(f"runs/{trained['id']}/handover", to="txt2img", saves=[8], weights=[0.7], prompts=[])[
            "infotext"
        ]
        pasted = webui.ask("/lending/pasted", infotext=text)
        assert pasted["overrides"] == [] and pasted["params"]["Prompt"] == "a red sks shape <lora:grid-000008:0.7>"
        assert "Script" not in pasted["params"]
    finally:
        if former:
            webui.ask("/sdapi/v1/options", former)


def test_try_now_in_txt2img(client: Client, webui: WebUI) -> None:
    run = client.post("runs", recipe=recipe("trial", train={"length": 400}))["id"]
    client.until(run, "training")
    name = client.post(f"runs/{run}/try")["name"]
    assert "-try-" in name and name in {entry["name"] for entry in webui.ask("/sdapi/v1/loras")}
    assert (webui.picture(f"{PROMPT} <lora:{name}:1>") != webui.picture(PROMPT)).any()
    assert client.get(f"runs/{run}/status?since=0")["status"]["state"] == "training"
    client.post(f"runs/{run}/stop")
    client.until(run, "stopped")
    time.sleep(1)
    left = [path.name for path in (webui.data / "models" / "Lora").iterdir()]
    assert not any("-try-" in file for file in left), left
    assert not any("-try-" in entry["name"] for entry in webui.ask("/sdapi/v1/loras"))


def test_interrupting_a_generation_does_not_stop_the_run(client: Client, webui: WebUI) -> None:
    run = client.post("runs", recipe=recipe("kept", train={"length": 400}))["id"]
    client.until(run, "training")
    webui.ask("/sdapi/v1/interrupt", {})
    step = client.get(f"runs/{run}/status?since=0")["status"]["step"]
    while client.get(f"runs/{run}/status?since=0")["status"]["step"] <= step + 1:
        time.sleep(0.1)
    client.post(f"runs/{run}/stop")
    client.until(run, "stopped")


def test_a_checkpoint_switched_in_the_settings_pauses_the_run(client: Client, webui: WebUI) -> None:
    """The same as in the contract, but as a user does it: by the WebUI's setting, and back."""
    from tests.host.host_adapters import other_checkpoint

    folder = webui.data / "models" / "Stable-diffusion"
    other_checkpoint(folder / "toy.safetensors", folder)
    webui.ask("/sdapi/v1/refresh-checkpoints", {})
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "toy.safetensors"})
    run = client.post("runs", recipe=recipe("switched", train={"length": 40}))["id"]
    client.until(run, "training")
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "other.safetensors"})
    status = client.until(run, "paused")
    assert "other.safetensors" in status["message"] and "toy.safetensors" in status["message"]
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "toy.safetensors"})
    assert client.until(run, "finished", "failed")["state"] == "finished"
    whole = client.post("runs", recipe=recipe("switched", train={"length": 40}))["id"]
    assert client.until(whole, "finished", "failed")["state"] == "finished"
    from tests.run import tiny

    files = [Path(webui.data, "sdft", name, "saves", "index.json") for name in (run, whole)]
    last = [Path(json.loads(file.read_text())[-1]["file"]) for file in files]
    assert last[0] != last[1] and tiny.tensors(last[0]) == tiny.tensors(last[1])


def test_a_call_with_another_checkpoint_only_delays_the_run(client: Client, webui: WebUI) -> None:
    """An API call overrides the checkpoint and leaves it loaded: the chosen one is brought back for the next turn."""
    run = client.post("runs", recipe=recipe("delayed", train={"length": 60}))["id"]
    client.until(run, "training")
    body = {"prompt": PROMPT, "steps": 2, "width": 64, "height": 64}
    webui.ask("/sdapi/v1/txt2img", {**body, "override_settings": {"sd_model_checkpoint": "other.safetensors"}})
    assert client.until(run, "finished", "failed")["state"] == "finished"


def test_reload_ui_finds_the_run_still_going(client: Client, webui: WebUI) -> None:
    run = client.post("runs", recipe=recipe("reloaded", train={"length": 600}))["id"]
    client.until(run, "training")
    starts = webui.log.read_text(errors="replace").count("Startup time:")
    webui.ask("/lending/reload")
    for _ in range(600):
        if webui.log.read_text(errors="replace").count("Startup time:") > starts:
            break
        time.sleep(0.1)
    status = client.get(f"runs/{run}/status?since=0")["status"]
    assert status["state"] == "training", status
    step = status["step"]
    while client.get(f"runs/{run}/status?since=0")["status"]["step"] <= step:
        time.sleep(0.1)
    assert prompts.SAVE_AXIS in webui.ask("/lending/axes")
    client.post(f"runs/{run}/stop")
    client.until(run, "stopped")


def test_what_the_extension_costs_at_the_start(tmp_path: Path) -> None:
    """Its imports, where the WebUI has imported its own, and the WebUI's whole start with it and without."""
    script = """
import sys, time
import fastapi, gradio, numpy, PIL, psutil, pydantic, safetensors.torch, torch, yaml
began = time.perf_counter()
import sdft_ext.extension, sdft_ext.host.webui.host, sdft_ext.desk.desk
import sdft_ext.api.datasets, sdft_ext.api.guard, sdft_ext.api.runs, sdft_ext.api.session, sdft_ext.api.static
print(time.perf_counter() - began, sorted({"diffusers", "peft", "transformers"} & set(sys.modules)))
"""
    python = str(Path(WEBUI, "venv", "bin", "python"))
    result = subprocess.run([python, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    imports, heavy = result.stdout.strip().splitlines()[-1].split(" ", 1)
    totals = {}
    for there in (False, True):
        with started(tmp_path / str(there), extension=there, lending=False) as ui:
            totals[there] = ui.startup
    parts = ("total", "load scripts", "create ui", "app_started_callback")
    shown = {part: (totals[False].get(part), totals[True].get(part)) for part in parts}
    print(f"imports {float(imports):.2f} s; seconds of the start without and with: {shown}")
    assert heavy == "[]"
    assert float(imports) < 0.3
