"""A queue over two base models in a real WebUI: each run trains its own, and the user's is loaded at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from tests.host.host_adapters import other_checkpoint
from tests.host.test_webui_extension import Client, recipe
from tests.host.webui_process import WEBUI, WebUI

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]


def short(name: str, length: int) -> dict[str, Any]:
    """A recipe without control pictures."""
    train, watch = {"length": length, "batch_size": 1}, {"concept_prompts": [], "propose_prompts": False}
    return recipe(name, train=train, watch=watch, save={"every": 0})


def chosen(webui: WebUI) -> tuple[Any, Any]:
    """Return the checkpoint and the VAE in the WebUI's settings."""
    options = webui.ask("/sdapi/v1/options")
    return options["sd_model_checkpoint"], options["sd_vae"]


def base_of(client: Client, run: str) -> str:
    """Return the base model that a run's last save names."""
    with safe_open(str(client.get(f"runs/{run}")["saves"][-1]["path"]), "pt") as file:
        return str(file.metadata()["ss_sd_model_name"])


def test_each_run_has_its_base_model_loaded_and_the_users_own_comes_back(webui: WebUI) -> None:
    client, folder = Client(webui), webui.data / "models" / "Stable-diffusion"
    other_checkpoint(folder / "toy.safetensors", folder)
    webui.ask("/sdapi/v1/refresh-checkpoints", {})
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "toy.safetensors"})
    first = client.post("runs", recipe=short("first", 40))["id"]
    client.until(first, "training")
    last = client.post("runs", recipe=short("last", 3))["id"]
    waiting = client.get(f"runs/{last}")
    assert (waiting["state"], waiting["step"], waiting["total"]) == ("waiting", 0, 3)
    assert waiting["base"] == "toy.safetensors"

    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "other.safetensors"})
    client.until(first, "paused")
    second = client.post("runs", recipe=short("second", 3))["id"]
    client.post("queue", ids=[second, last])
    own = chosen(webui)
    time.sleep(2)
    assert client.get(f"runs/{first}/status?since=0")["status"]["state"] == "paused", "nobody has allowed it yet"
    client.post("queue/models", load=True)
    assert client.get("runs")["loads"]
    for run, base in ((first, "toy"), (second, "other"), (last, "toy")):
        assert client.until(run, "finished", "failed", seconds=600)["state"] == "finished"
        assert base_of(client, run).startswith(base), run
    until = time.monotonic() + 60
    while client.get("runs")["current"] and time.monotonic() < until:
        time.sleep(0.1)
    assert client.get("session")["host"]["model"]["name"] == "other.safetensors"
    assert chosen(webui) == own
    client.post("queue/models", load=False)
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "toy.safetensors"})


def test_a_checkpoint_that_is_gone_is_named_and_the_run_waits(webui: WebUI) -> None:
    client, folder = Client(webui), webui.data / "models" / "Stable-diffusion"
    gone = Path(other_checkpoint(folder / "toy.safetensors", folder))
    webui.ask("/sdapi/v1/refresh-checkpoints", {})
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": gone.name})
    run = client.post("runs", recipe=short("gone", 60))["id"]
    client.until(run, "training")
    client.post(f"runs/{run}/stop")
    client.until(run, "stopped")
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "toy.safetensors"})
    gone.rename(gone.with_suffix(".elsewhere"))
    client.post("queue/models", load=True)
    client.post(f"runs/{run}/resume")
    message = ""
    until = time.monotonic() + 60
    while "doesn't list" not in message and time.monotonic() < until:
        message = client.until(run, "paused")["message"]
    assert gone.name in message and "doesn't list" in message
    assert client.get("session")["host"]["model"]["name"] == "toy.safetensors"
    client.post(f"runs/{run}/stop")
    client.until(run, "stopped")
    client.post("queue/models", load=False)
