"""What every method has learned of the examples, seen in pictures that a real WebUI draws with the saved file.

The files are those of ``python -m bench methods``, from its work folder (``SDFT_TRAINED``, or ``out/methods``) where a
row was made there with today's settings; other rows are trained here first, some minutes each.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from bench import method_rows, methods
from bench.method_concepts import CONCEPTS
from bench.method_figures import read_figures, run_folder
from bench.method_rows import ROWS, Row
from sdft_ext.judge.shares import Share
from sdft_ext.method import METHODS
from sdft_ext.tools.merge import merge
from sdft_ext.toy import demo
from sdft_ext.watch.progress import Progress
from tests.host.webui_process import ROOT, WEBUI, WebUI, started

pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not WEBUI, reason="SDFT_WEBUI_DIR names no WebUI"),
]
SHOWN = [
    row
    for row in ROWS
    if not row.compared and (row.concept.startswith("known") or row.method not in ("textual_inversion", "hypernetwork"))
]
"""These two call what the base can draw: little is seen of the other two (docs/methods.md)."""
CAPTIONS, EACH = 8, 2
FOLDERS = {"textual_inversion": "embeddings", "hypernetwork": "models/hypernetworks"}


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    with started(tmp_path_factory.mktemp("learned") / "data") as ui:
        yield ui


@pytest.fixture(scope="module")
def base(webui: WebUI) -> dict[str, float]:
    """Of each concept, what the WebUI's pictures show without any file."""
    return {name: share(webui, name, concept.prompts(CAPTIONS)) for name, concept in CONCEPTS.items()}


def made(row: Row, otherwise: Path) -> tuple[Path, float]:
    """The save of a row, and what was measured of it outside the WebUI; it is trained where there is none."""
    work = Path(os.environ.get("SDFT_TRAINED") or ROOT / "out" / "methods")
    figures = read_figures(work)
    if not methods.is_measured(figures, row, 1):
        work = otherwise
        methods.make(row, 1, work, Progress())
        figures = read_figures(work)
    file = run_folder(work, row.name, 1) / "saves" / f"{row.name}{METHODS[row.method].suffix}"
    return file, Share(*figures[row.name][1]["learned"]).value


def share(webui: WebUI, concept: str, prompts: list[str], **settings: str) -> float:
    """How many of the pictures show the concept."""
    pictures = [
        picture
        for number, prompt in enumerate(prompts)
        for picture in webui.pictures(
            prompt, EACH, seed=100 * number, steps=demo.SAMPLER.steps, cfg_scale=demo.SAMPLER.guidance, sampler_name="DDIM",  # noqa: E501
            override_settings=settings,
        )
    ]  # fmt: skip
    return CONCEPTS[concept].count(pictures) / len(pictures)


def is_checkpoint(row: Row) -> bool:
    return row.method in ("dreambooth", "full") and "method.full.save_as=lora" not in row.changes


def put(webui: WebUI, file: Path, row: Row, folder: str) -> str:
    """Put the file where the WebUI looks for its kind, under the name that prompts use."""
    name = f"learned-{row.name.replace('_', '-')}"
    target = webui.data / folder / f"{name}{file.suffix}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if row.method in ("loha", "lokr"):
        # The WebUI multiplies them in the file's own number format, and its torch (2.1) can't multiply halves on a CPU.
        save_file({key: tensor.float() for key, tensor in load_file(file).items()}, target)
    else:
        shutil.copyfile(file, target)
    if folder.endswith("Stable-diffusion"):
        shutil.copyfile(target.parent / "toy.yaml", target.with_suffix(".yaml"))
    webui.ask("/lending/publish", file=str(target))
    return name


def seen(row: Row, found: float, without: float, ours: float) -> None:
    """Far more than the base's, and about as many as our own sampler's show."""
    print(f"{row.name:24} base {without:.3f}  in the WebUI {found:.3f}  outside {ours:.3f}")
    assert found > without + 0.5 * (ours - without) and found > without + 0.1


@pytest.mark.parametrize("row", SHOWN, ids=lambda row: row.name)
def test_the_concept_is_in_the_webuis_pictures(webui: WebUI, base: dict[str, float], row: Row, tmp_path: Path) -> None:
    file, outside = made(row, tmp_path)
    prompts, without = row.taught.prompts(CAPTIONS), base[row.concept]
    if is_checkpoint(row):
        name = put(webui, file, row, "models/Stable-diffusion")
        found = share(webui, row.concept, prompts, sd_model_checkpoint=f"{name}.safetensors")
    else:
        name = put(webui, file, row, FOLDERS.get(row.method, "models/Lora"))
        if row.method == "textual_inversion":
            trigger = method_rows.default_recipe(row).dataset.concepts[0].trigger
            prompts = [prompt.replace(trigger, name) for prompt in prompts]
        else:
            tag = "hypernet" if row.method == "hypernetwork" else "lora"
            prompts = [f"{prompt} <{tag}:{name}:1>" for prompt in prompts]
        found = share(webui, row.concept, prompts)
    seen(row, found, without, outside)


def test_the_concept_is_in_pictures_of_a_merged_checkpoint(
    webui: WebUI, base: dict[str, float], tmp_path: Path
) -> None:
    """Its LoRA in the base's own number format, by the tool."""
    row = next(row for row in ROWS if row.name == "lora")
    file, outside = made(row, tmp_path)
    toy = webui.data / "models" / "Stable-diffusion" / "toy.safetensors"
    merged = merge(toy, [(file, 1.0)], tmp_path / "merged.safetensors").path
    name = put(webui, merged, row, "models/Stable-diffusion")
    found = share(webui, row.concept, row.taught.prompts(CAPTIONS), sd_model_checkpoint=f"{name}.safetensors")
    seen(row, found, base[row.concept], outside)
