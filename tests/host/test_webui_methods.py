"""Every method trained in a real WebUI: its own loader and UNet make of the file what the training made of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors import safe_open

from sdft_ext.recipe import LORA_FAMILY
from sdft_ext.recipe import file as recipe_file
from sdft_ext.tools.merge import merge
from sdft_ext.toy.install import TOY
from tests.host.webui_process import PROMPT, ROOT, WEBUI, WebUI, started

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    with started(tmp_path_factory.mktemp("methods") / "data") as ui:
        yield ui


def write_recipe(folder: Path, name: str, *settings: str) -> Path:
    found = recipe_file.read(ROOT / "assets" / "example" / "subject.yaml")
    found.model.base = str(TOY / "toy.safetensors")
    found.save.output, found.save.name, found.save.every = str(folder / "runs"), f"made-by-{name}{len(settings)}", 0
    found.train.length, found.train.batch_size, found.train.learning_rate = 6, 2, 1e-2
    found.watch.concept_prompts, found.watch.bleeding_prompts = [], []
    # The WebUI multiplies LoHa and LoKr in the file's own number format, and its torch (2.1) can't multiply halves on a
    # CPU.
    found.save.precision = "fp32"
    found.method.name = name  # type: ignore[assignment]
    # Small enough that LoKr has a layer of either form: two whole matrices, and one in factors.
    found.method.lora.rank, found.method.lora.alpha, found.method.lora.text_rank = 5, 3.0, 2
    path = folder / f"{name}.yaml"
    recipe_file.write(path, recipe_file.override(found, settings))
    return path


def trained(webui: WebUI, name: str, *settings: str) -> Path:
    """The last save of a run of this method on the WebUI's model."""
    webui.ask("/lending/train", recipe=str(write_recipe(webui.data, name, *settings)))
    outcome = webui.trained()
    assert outcome["outcome"] == "finished", outcome
    return Path(outcome["saves"][-1])


LINEAR, LOCON = ("method.lora.layers=linear",), ("method.lora.layers=all", "method.lora.conv_rank=3")


@pytest.mark.parametrize(
    ("name", "settings"), [("lora", LINEAR), ("lora", LOCON), *((name, ()) for name in LORA_FAMILY if name != "lora")]
)
def test_the_webui_makes_the_same_of_it(webui: WebUI, name: str, settings: tuple[str, ...]) -> None:
    picture = webui.picture(PROMPT)
    file = trained(webui, name, *settings)
    assert file.parent == webui.data / "models" / "Lora"
    assert (webui.picture(PROMPT) == picture).all()
    found = webui.ask("/lending/compare", file=str(file), prompt="a red sks shape on a white background")
    with safe_open(file, "pt") as opened:
        layers = {key.partition(".")[0] for key in opened.keys()} - {"bundle_emb"}  # noqa: SIM118
    print(name, found, len(layers))
    assert found["modules"] == len(layers)
    assert found["lora"] < 1e-4 and found["lora_context"] < 1e-4
    assert found["effect"] > 10 * found["lora"] and found["put_back"]
    webui.ask("/sdapi/v1/refresh-loras", {})
    assert (webui.picture(f"{PROMPT} <lora:{file.stem}:1>") != picture).any()


FOLDERS = {"textual_inversion": "embeddings", "hypernetwork": "models/hypernetworks"}
CALLED = {"textual_inversion": "{}", "hypernetwork": "<hypernet:{}:1>"}


@pytest.mark.parametrize("name", FOLDERS)
def test_what_a_prompt_calls_by_name_is_there_at_once_and_answers_the_same(webui: WebUI, name: str) -> None:
    """No restart and no refresh: the run registers each save with the WebUI."""
    picture = webui.picture(PROMPT)
    file = trained(webui, name)
    assert file.parent == webui.data / FOLDERS[name]
    assert (webui.picture(PROMPT) == picture).all()
    prompt, trigger = "a red sks shape on a white background", "sks"
    found = webui.ask("/lending/compare_called", file=str(file), method=name, prompt=prompt, trigger=trigger)
    print(name, found)
    assert found["known"] and found["put_back"]
    assert found["output"] < 1e-4 and found["context"] < 1e-4
    assert found["effect"] > 10 * found["output"]
    assert (webui.picture(f"{PROMPT} {CALLED[name].format(file.stem)}") != picture).any()
    assert (webui.picture(PROMPT) == picture).all()


def test_a_word_in_a_lora_is_read_with_it_and_not_without(webui: WebUI) -> None:
    """Its embedding is in the WebUI's folder too, named after the save and the word."""
    plain = webui.picture("a red sks shape")
    file = trained(webui, "pivotal")
    assert (webui.data / "embeddings" / f"{file.stem}-sks.safetensors").is_file()
    both = webui.picture(f"a red sks shape <lora:{file.stem}:1>")
    alone = webui.picture(f"a red {file.stem}-sks shape")
    assert (both != plain).any() and (alone != plain).any() and (both != alone).any()
    webui.ask("/lending/clean")  # a turn, which takes the LoRA out
    assert (webui.picture("a red sks shape") == plain).all()


ALONE = ("dataset.concepts.0.regularization=", "method.text_encoder=false")


@pytest.mark.parametrize(("name", "settings"), [("dreambooth", ("method.text_encoder=true",)), ("full", ALONE)])
def test_a_checkpoint_is_there_at_once_and_answers_as_it_was_trained(
    webui: WebUI, name: str, settings: tuple[str, ...]
) -> None:
    """In the layout that the WebUI loads: chosen as any checkpoint; the former one is the former one again after."""
    picture = webui.picture(PROMPT)
    file = trained(webui, name, "train.learning_rate=1e-3", *settings)
    assert file.parent == webui.data / "models" / "Stable-diffusion"
    assert (webui.picture(PROMPT) == picture).all()
    found = webui.ask("/lending/compare_checkpoint", file=str(file), prompt=PROMPT, base=str(TOY / "toy.safetensors"))
    print(name, found)
    assert found["known"] and found["put_back"]
    assert found["output"] < 1e-4 and found["context"] < 1e-4
    assert found["effect"] > 10 * found["output"] and bool(found["context_effect"]) == (name == "dreambooth")
    assert (webui.picture(PROMPT) == picture).all()


def test_a_merged_checkpoint_answers_as_the_loras_in_it(webui: WebUI) -> None:
    """Two kinds at weights of their own; in float32, for rounding to the base's halves is another matter."""
    loras = [(trained(webui, "lora", *LOCON), 0.8), (trained(webui, "lokr"), 0.6)]
    folder = webui.data / "models" / "Stable-diffusion"
    file = merge(folder / "toy.safetensors", loras, folder / "merged.safetensors", precision="fp32").path
    files = ",".join(f"{path}:{weight}" for path, weight in loras)
    base = str(TOY / "toy.safetensors")
    found = webui.ask("/lending/compare_checkpoint", file=str(file), prompt=PROMPT, base=base, loras=files)
    print("merged", found)
    assert found["put_back"]
    assert found["output"] < 1e-4 and found["context"] < 1e-4
    assert found["effect"] > 10 * found["output"]
