"""The guide: every term of the guide that sdft follows is explained, and leads to a control or a place of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sdft_ext.desk import guide
from sdft_ext.recipe import Recipe
from sdft_ext.recipe.rules import fields
from sdft_ext.tools.catalog import TOOLS

TERMS = {
    "Attention": "attention",
    "Bias": "bias",
    "Bleeding": "bleeding",
    "Caption": "caption",
    "Checkpoint": "model",
    "Class": "class",
    "Concept": "concept",
    "Dataset": "dataset",
    "Diffusers": "diffusers",
    "Duplication": "duplication",
    "Embedding": "embedding",
    "Epoch": "epoch",
    "Fine-tuning": "fine-tuning",
    "Full fine-tuning": "whole-model",
    "Instance": "instance",
    "Learning rate": "learning-rate",
    "Loss": "loss",
    "Model": "model",
    "Overtraining": "overtraining",
    "Regularization": "regularization",
    "Repeat": "repeats",
    "Step": "step",
    "Style": "subject-style",
    "Subject": "subject-style",
    "Token": "token",
    "Weights": "weights",
}
"""The terminology of Guizmus' "sd-training-intro", in this guide's spelling, and the entry that explains each term."""
SAID = {
    "VRAM": ["vram"],
    "GAS": ["accumulation"],
    "gradient accumulation steps": ["accumulation"],
    "EveryDream": ["everydream"],
    "LoCon": ["lora-layers"],
    "burned": ["overtraining"],
    ".ckpt": ["model", "file-formats"],
    ".safetensors": ["model", "file-formats"],
    "weakest": ["textual-inversion"],
    "thousands of steps": ["hypernetwork"],
    "overtrains faster": ["learning-rate"],
    "as large as the memory allows": ["batch"],
    "multiplies the batch size": ["accumulation"],
    "Save regularly": ["save"],
    "tensorboard": ["tensorboard"],
}
"""What the guide says, and in which entries."""
SOURCES = (
    "https://github.com/Guizmus/sd-training-intro",
    "https://github.com/nitrosocke/dreambooth-training-guide",
    "https://github.com/victorchall/EveryDream2trainer",
    "https://github.com/XavierXiao/Dreambooth-Stable-Diffusion",
    "https://github.com/cloneofsimo/lora",
    "https://github.com/rinongal/textual_inversion",
    "https://github.com/KohakuBlueleaf/LyCORIS",
)

ENTRIES = {entry["id"]: entry for entry in guide.guide()["entries"]}
CHAPTERS = {chapter["title"]: chapter for chapter in guide.guide()["chapters"]}
PAGE = Path(guide.__file__).parents[1] / "ui" / "page" / "main.mjs"


@pytest.mark.parametrize("term", TERMS)
def test_each_term_heads_an_entry_that_leads_somewhere(term: str):
    entry = ENTRIES[TERMS[term]]
    assert re.search(rf"\b{term}", entry["term"], re.IGNORECASE), entry["term"]
    assert entry["settings"] or entry["places"]


def test_every_entry_leads_to_a_control_or_a_place():
    assert [name for name, entry in ENTRIES.items() if not (entry["settings"] or entry["places"])] == []


@pytest.mark.parametrize("text", SAID)
def test_the_entries_say_what_the_guide_says(text: str):
    for name in SAID[text]:
        entry = ENTRIES[name]
        assert re.search(rf"(?<!\w){re.escape(text)}(?!\w)", f"{entry['text']} {entry['command']}"), (name, text)


def test_places_are_panels_tools_and_settings_that_exist():
    panels = set(re.findall(r'^  \["(\w+)", "\w+"\],$', PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert "tools" in panels
    settings, tools = {setting.path for setting in fields(Recipe)}, {tool.name for tool in TOOLS}
    places = [place for part in [*ENTRIES.values(), *CHAPTERS.values()] for place in part["places"]]
    for place in places:
        assert set(place) == {"panel", "tool", "setting", "label"}
        assert bool(place["panel"]) != bool(place["setting"])
        assert place["panel"] in {"", *panels} and place["setting"] in {"", *settings}
        assert place["tool"] in {"", *tools} and (not place["tool"] or place["panel"] == "tools")
        assert bool(place["label"]) == bool(place["panel"])


def test_safety_is_a_chapter_with_the_tools_one_click_away():
    safety = CHAPTERS["Safety"]
    assert {place["tool"] for place in safety["places"]} == {"scan", "convert"}
    text = " ".join(safety["paragraphs"])
    assert ".ckpt" in text and ".safetensors" in text


def test_the_guide_names_its_sources():
    links = CHAPTERS["Sources"]["links"]
    assert set(SOURCES) <= {link["url"] for link in links}
    assert "Guizmus" in " ".join(CHAPTERS["Sources"]["paragraphs"])
    everywhere = [link for part in [*ENTRIES.values(), *CHAPTERS.values()] for link in part["links"]]
    for link in everywhere:
        assert link["url"].startswith("https://") and link["label"] and set(link) == {"label", "url"}


def test_the_command_for_tensorboard_has_the_folder_of_the_runs(tmp_path: Path):
    runs = tmp_path / "my runs"
    found = {entry["id"]: entry for entry in guide.guide(runs)["entries"]}
    assert found["tensorboard"]["command"] == f'tensorboard --logdir "{runs}"'
    assert [entry["id"] for entry in found.values() if entry["command"]] == ["tensorboard"]
