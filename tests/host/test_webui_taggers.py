"""A real WebUI's own interrogators: what they lack is said, and nothing is downloaded; with weights there they
caption.
"""

from __future__ import annotations

import base64
import importlib.util
import shutil
import sys
import time
import types
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.host.test_webui_extension import EXAMPLE, Client
from tests.host.webui_process import WEBUI, WebUI

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]
SURE = {"1girl": 3.0, "long_hair": 2.0, "miku_(vocaloid)": 1.0, "rating:safe": 2.5}


@pytest.fixture(scope="module")
def client(webui: WebUI) -> Client:
    return Client(webui)


@pytest.fixture
def folder(webui: WebUI, tmp_path: Path) -> Path:
    made = webui.data / "sdft" / "datasets" / tmp_path.name
    made.mkdir(parents=True)
    for path in [EXAMPLE / "instance" / f"00{number}{ending}" for number in range(1, 7) for ending in (".png", ".txt")]:
        shutil.copy(path, made / path.name)
    return made


def weights(path: Path) -> None:
    """DeepDanbooru as the WebUI builds it, with weights that are sure of a few tags, whatever the picture."""
    source = Path(WEBUI, "modules", "deepbooru_model.py")
    spec = importlib.util.spec_from_file_location("deepbooru_model", source)
    assert spec is not None and spec.loader is not None
    package, devices = types.ModuleType("modules"), types.ModuleType("modules.devices")
    package.devices = devices  # type: ignore[attr-defined]
    sys.modules |= {"modules": package, "modules.devices": devices}
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        del sys.modules["modules"], sys.modules["modules.devices"]
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in module.DeepDanbooruModel().state_dict().items()}
    state = {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()}
    state["n_Conv_177.bias"] += 1
    last = state["n_Conv_178.weight"]
    tags = [*SURE, *(f"tag_{number}" for number in range(len(last) - len(SURE)))]
    for number in range(len(last)):
        last[number] = SURE.get(tags[number], -6.0) / last.shape[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    # The WebUI refuses what later versions of torch put into their zip files.
    torch.save({**state, "tags": tags}, path, _use_new_zipfile_serialization=False)


def test_what_is_missing_is_said_and_nothing_is_downloaded(client: Client, webui: WebUI, folder: Path) -> None:
    found = {one["id"]: one for one in client.get("taggers")["taggers"]}
    assert "BLIP" in found["blip"]["why"] and str(webui.data / "models" / "BLIP") in found["blip"]["why"]
    place = webui.data / "models" / "torch_deepdanbooru"
    assert str(place) in found["deepdanbooru"]["why"] and "model-resnet_custom_v3.pt" in found["deepdanbooru"]["why"]
    opened = client.post("captions/open", folder=str(folder), start=0)["opened"]
    for name in ("blip", "deepdanbooru"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            client.post("taggers", tagger=name, folder=str(folder), opened=opened)
        assert refused.value.code == 400
    assert not list((webui.data / "models").rglob("*.pth")) and not list((webui.data / "models").rglob("*.pt"))


def test_deepdanbooru_says_what_the_webui_s_own_button_says(client: Client, webui: WebUI, folder: Path) -> None:
    file = webui.data / "models" / "torch_deepdanbooru" / "model-resnet_custom_v3.pt"
    weights(file)
    try:
        assert {one["id"]: one["why"] for one in client.get("taggers")["taggers"]}["deepdanbooru"] == ""
        start = client.post("captions/open", folder=str(folder), start=0)
        id = client.post("taggers", tagger="deepdanbooru", folder=str(folder), opened=start["opened"])["id"]
        status: dict[str, Any] = {"state": "tagging"}
        end = time.monotonic() + 300
        while status["state"] == "tagging" and time.monotonic() < end:
            time.sleep(0.2)
            status = client.get(f"taggers/{id}")
        assert (status["state"], status["done"]) == ("finished", 6), status
        choice = {"how": "replace", "threshold": 0.5, "escape": True}
        shown = client.post(f"taggers/{id}/preview", **choice)
        ours = {one["after"] for one in shown["shown"]}
        assert ours == {"1girl, long hair, miku \\(vocaloid\\)"} and shown["count"] == 6
        picture = base64.b64encode(next(folder.glob("*.png")).read_bytes()).decode()
        theirs = webui.ask("/sdapi/v1/interrogate", {"image": picture, "model": "deepdanbooru"})["caption"]
        assert set(theirs.split(", ")) == set(next(iter(ours)).split(", "))
        done = client.post(f"taggers/{id}/apply", preview=shown["preview"], **choice)
        assert done["count"] == 6
        saved = client.post("captions/save", folder=str(folder), opened=start["opened"])
        assert saved["saved"] == 6
        assert {path.read_text().strip() for path in folder.glob("*.txt")} == ours
    finally:
        file.unlink()
