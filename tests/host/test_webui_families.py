"""SD 2 and SDXL, lent by a real WebUI as it loads them: small ones with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from safetensors import safe_open

from tests.host import small_families
from tests.host.test_webui import write_recipe
from tests.host.webui_process import WEBUI, WebUI, started

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]


@pytest.fixture(scope="module", params=["sd2", "sdxl"])
def webui(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, WebUI]]:
    name: str = request.param
    folder = tmp_path_factory.mktemp(name) / "data"
    with started(folder, put=partial(small_families.put, name, Path(WEBUI))) as ui:
        yield name, ui


def test_a_lora_of_every_layer(webui: tuple[str, WebUI]) -> None:
    """Trained on the lent model, found whole by the WebUI's loader, equal in effect; nothing of the host has moved."""
    name, ui = webui
    ui.ask("/sdapi/v1/options", {"live_previews_enable": False})  # SDXL's would be made by a network to be downloaded
    prompt = "a red sks shape on a white background"
    picture, state, loan = ui.picture(prompt), ui.ask("/lending/state"), ui.ask("/lending/borrow")
    recipe = write_recipe(ui.data, "method.lora.layers=all", "train.length=4", "train.learning_rate=1e-2")
    ui.ask("/lending/train", recipe=str(recipe))
    outcome = ui.trained()
    print(name, loan, {key: value for key, value in outcome.items() if key != "saves"})
    assert outcome["outcome"] == "finished", outcome
    assert loan["unet_shared"] == loan["unet_parameters"] and loan["copied_bytes"] == 0
    after = ui.ask("/lending/state")
    for what in ("tensors", "objects", "requires_grad", "grads", "training", "keys", "forward", "hooks"):
        assert after[what] == state[what], what
    assert (ui.picture(prompt) == picture).all()
    file = outcome["saves"][-1]
    with safe_open(file, "pt") as opened:
        layers = {key.partition(".")[0] for key in opened.keys()}  # noqa: SIM118
        version = opened.metadata()["ss_base_model_version"]
    assert version == {"sd2": "sd_v2", "sdxl": "sdxl_base_v1-0"}[name]
    found = ui.ask("/lending/compare", file=file, prompt=prompt)
    print(found, len(layers))
    assert found["base"] < 1e-4 and found["context"] < 1e-4
    assert found["lora"] < 1e-4 and found["lora_context"] < 1e-4
    assert found["effect"] > 10 * found["lora"] and found["put_back"]
    assert (ui.picture(f"{prompt} <lora:{Path(file).stem}:1>") != picture).any()
