"""Regularization pictures drawn by a real WebUI's own pipeline, as a user has them drawn from the tab."""

from __future__ import annotations

import base64
import io
import json
import time
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdft_ext.toy import checker
from tests.host.test_webui_extension import Client, recipe
from tests.host.webui_process import PROMPT, WEBUI, WebUI

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]
PROMPTS = {
    "a red circle on a white background": ("circle", "red", "white"),
    "a blue square on a white background": ("square", "blue", "white"),
}
SETTINGS: dict[str, Any] = {
    "prompts": list(PROMPTS), "count": 12, "seed": 40, "sampler": "DDIM", "steps": 20, "guidance": 3.5, "width": 64,
    "height": 64, "drop_duplicates": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def client(webui: WebUI) -> Client:
    return Client(webui)


def until(client: Client, name: str, *states: str, done: int = 0) -> dict[str, Any]:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(f"regularization/{name}")
        if found["state"] in states and found["done"] >= done:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{name} is {found}, not {states}")


def pictures(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("[!.]*.png"))}


def outputs(webui: WebUI) -> list[str]:
    """Files that the WebUI writes for its user's own pictures."""
    own = [path for path in (webui.data / "outputs").rglob("*") if path.is_file()]
    return sorted(str(path) for path in [*own, *webui.data.glob("params.txt")])


def test_count_captions_and_class_and_the_same_after_a_stop(client: Client, webui: WebUI, tmp_path: Path) -> None:
    base = webui.picture(PROMPT)
    before = outputs(webui)
    history = webui.data / "params.txt"
    last = history.read_text()
    name = client.post("regularization", **SETTINGS, folder=str(tmp_path / "stopped"))["name"]
    until(client, name, "drawing", done=3)
    client.post(f"regularization/{name}/stop")
    stopped = until(client, name, "stopped")
    assert 3 <= stopped["done"] < 12
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "stopped").glob("*.png")}
    client.post(f"regularization/{name}/resume")
    time.sleep(0.2)
    # A picture that the user asks for meanwhile is drawn between two of ours, and is what it always was.
    began = time.monotonic()
    assert (webui.picture(PROMPT) == base).all()
    waited = time.monotonic() - began
    assert until(client, name, "finished", "failed")["state"] == "finished"
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "stopped").glob("*.png")}
    assert kept.items() <= now.items(), "what was there isn't drawn again"

    whole = client.post("regularization", **SETTINGS, folder=str(tmp_path / "whole"))["name"]
    assert until(client, whole, "finished", "failed")["state"] == "finished"
    mine, other = pictures(tmp_path / "stopped"), pictures(tmp_path / "whole")
    assert len(mine) == 12 and list(mine) == list(other)
    assert all((mine[file] == other[file]).all() for file in mine), (
        "stopped or not, the pictures are the same to the bit"
    )

    right = 0
    for file, picture in mine.items():
        caption = (tmp_path / "stopped" / file).with_suffix(".txt").read_text()
        reading = checker.read(picture)
        right += (reading.shape, reading.colour, reading.background) == PROMPTS[caption]
    print(f"the checker names {right} of 12 as their caption; the user's picture took {waited:.1f} s meanwhile")
    assert right >= 11
    assert outputs(webui) == before, "nothing lies among the WebUI's own pictures"
    assert history.read_text() == last, "the user's last prompt is still his"


def test_a_picture_is_the_one_that_txt2img_draws(client: Client, webui: WebUI, tmp_path: Path) -> None:
    name = client.post("regularization", **{**SETTINGS, "count": 2}, folder=str(tmp_path))["name"]
    until(client, name, "finished")
    body = {"prompt": next(iter(PROMPTS)), "seed": 40, "steps": 20, "width": 64, "height": 64, "cfg_scale": 3.5}
    answer = webui.ask("/sdapi/v1/txt2img", {**body, "sampler_name": "DDIM"})["images"][0]
    theirs = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer))).convert("RGB"))
    ours = next(picture for file, picture in pictures(tmp_path).items() if file.endswith("-00000.png"))
    assert (ours == theirs).all()


def test_near_duplicates_are_replaced(client: Client, tmp_path: Path) -> None:
    """Two prompts whose pictures are often near-duplicates: the count is still reached."""
    settings = {**SETTINGS, "count": 30, "steps": 8, "drop_duplicates": True}
    name = client.post("regularization", **settings, folder=str(tmp_path))["name"]
    found = until(client, name, "finished", "failed")
    print(found["message"])
    assert found["done"] == 30 and len(pictures(tmp_path)) == len(list(tmp_path.glob("*.txt"))) == 30


def test_interrupt_spoils_no_picture(client: Client, webui: WebUI, tmp_path: Path) -> None:
    settings = {**SETTINGS, "count": 6}
    whole = client.post("regularization", **settings, folder=str(tmp_path / "whole"))["name"]
    until(client, whole, "finished")
    name = client.post("regularization", **settings, folder=str(tmp_path / "interrupted"))["name"]
    until(client, name, "drawing")
    for _ in range(3):
        webui.ask("/sdapi/v1/interrupt", {})
        time.sleep(0.3)
    until(client, name, "finished")
    mine, other = pictures(tmp_path / "interrupted"), pictures(tmp_path / "whole")
    assert len(mine) == 6 and all((mine[file] == other[file]).all() for file in mine)


def test_another_checkpoint_is_waited_for(client: Client, webui: WebUI, tmp_path: Path) -> None:
    from tests.host.host_adapters import other_checkpoint

    folder = webui.data / "models" / "Stable-diffusion"
    other_checkpoint(folder / "toy.safetensors", folder)
    webui.ask("/sdapi/v1/refresh-checkpoints", {})
    name = client.post("regularization", **{**SETTINGS, "count": 10}, folder=str(tmp_path))["name"]
    until(client, name, "drawing", done=1)
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "other.safetensors"})
    paused = until(client, name, "paused", "finished")
    assert paused["state"] == "paused" and "toy.safetensors" in paused["message"], paused
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "toy.safetensors"})
    assert until(client, name, "finished", "failed")["state"] == "finished"


def test_a_run_waits_for_the_pictures_and_trains_with_them(client: Client, webui: WebUI, tmp_path: Path) -> None:
    """One queue: the pictures are drawn first, then the run that was started meanwhile trains with their folder."""
    first = client.post("regularization", **{**SETTINGS, "count": 1}, folder=str(tmp_path))["name"]
    until(client, first, "finished")
    name = client.post("regularization", **{**SETTINGS, "count": 8}, folder=str(tmp_path))["name"]
    values = recipe("with-class")
    values["dataset"]["concepts"][0]["regularization"] = str(tmp_path)
    run = client.post("runs", recipe=values)["id"]
    status = client.until(run, "finished", "failed")
    assert status["state"] == "finished", status
    assert client.get(f"regularization/{name}")["state"] == "finished"
    facts = json.loads((webui.data / "sdft" / run / "facts.json").read_text())
    assert facts["dataset"]["concepts"][0]["regularization_pictures"] == 8


def test_without_the_token_nothing_is_drawn(webui: WebUI, client: Client) -> None:
    stranger = Client(webui)
    stranger.token = "guessed"
    with pytest.raises(urllib.error.HTTPError) as refused:
        stranger.post("regularization", **SETTINGS)
    assert refused.value.code == 403
