"""Presets are recipes that train, for the model that is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdft_ext.desk.examples import examples
from sdft_ext.formats.quick_look import RESOLUTION, model_kind
from sdft_ext.method import METHODS
from sdft_ext.recipe import FULL, METHOD_INFO, Kind, Precision, Recipe, presets
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.rules import fields

TOY = Path(__file__).parents[2] / "assets" / "toy" / "toy.safetensors"
PATHS = {setting.path for setting in fields(Recipe)}


@pytest.mark.parametrize("family", RESOLUTION)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_every_preset_and_length_makes_a_recipe_that_may_train(family: str, precision: Precision):
    for preset in presets.presets(family, RESOLUTION[family], precision):
        for length in presets.thorough(family):
            settings = {**preset["settings"], **length["settings"], "dataset.concepts.0.trigger": "sks"}
            assert settings.keys() <= PATHS
            recipe = recipe_file.override(
                Recipe(),
                [
                    f"{path}={str(value).lower() if isinstance(value, bool) else value}"
                    for path, value in settings.items()
                ],
            )
            assert recipe.dataset.resolution == RESOLUTION[family]
            assert recipe.dataset.concepts[0].kind == preset["name"].partition("-")[0]
            # A large model's own weights train in bf16.
            whole = family == "sdxl" and recipe.method.name in FULL and precision != "fp32"
            assert recipe.train.precision == ("fp32" if family == "toy" else "bf16" if whole else precision)


@pytest.mark.parametrize("family", RESOLUTION)
def test_a_preset_sets_only_what_its_method_uses(family: str):
    """Else a newcomer would be warned of settings that he never touched."""
    used_by = {setting.path: setting.methods for setting in fields(Recipe) if setting.methods}
    for preset in presets.presets(family, RESOLUTION[family], "fp32"):
        method = preset["settings"]["method.name"]
        assert [path for path in preset["settings"] if method not in used_by.get(path, (method,))] == []


@pytest.mark.parametrize("family", RESOLUTION)
def test_a_whole_model_does_not_start_at_a_loras_rate(family: str):
    found = {preset["name"]: preset["settings"] for preset in presets.presets(family, RESOLUTION[family], "fp16")}
    for name in ("subject-dreambooth", "style-dreambooth", "subject-full", "style-full"):
        settings = found[name]
        rates = (settings["train.learning_rate"], settings["train.text_encoder_learning_rate"])
        assert rates == ((1e-3, 1e-3) if family == "toy" else (2e-6, 1e-6))
        assert not [path for path in settings if path.startswith("method.lora.")]
        assert family == "toy" or settings["save.keep_last"]
        in_half = settings.get("method.full.weights") == "bf16" and settings["train.checkpointing"]
        assert in_half == (family == "sdxl")


@pytest.mark.parametrize("family", RESOLUTION)
def test_only_a_word_does_without_regularization_pictures(family: str):
    found = {preset["name"]: preset["settings"] for preset in presets.presets(family, RESOLUTION[family], "fp32")}
    without = {name for name, settings in found.items() if settings.get("train.prior_loss_weight") == 0}
    assert without == {"subject-textual_inversion", "style-textual_inversion"}


@pytest.mark.parametrize(("kind", "trigger"), [("subject", "sks"), ("style", "in twotone style")])
def test_an_example_sets_nothing_that_a_preset_sets(kind: Kind, trigger: str):
    """Else whoever loads the example, then picks DreamBooth, trains a whole model at a LoRA's rate."""
    taken = examples("toy", ())[kind]
    assert taken["settings"]["dataset.concepts.0.trigger"] == trigger
    assert taken["settings"]["dataset.concepts.0.kind"] == kind
    for method in METHODS:
        decided = presets.start(method, kind, "toy", 64)
        assert decided["method.name"] == method and decided["train.length"] == presets.TOY_STEPS["normal"]
        assert not taken["settings"].keys() & decided.keys() - {"dataset.concepts.0.kind"}


@pytest.mark.parametrize("family", RESOLUTION)
def test_a_style_trains_its_trigger_and_holds_the_empty_prompt(family: str):
    """Without both, a style bleeds: docs/methods.md."""
    for kind in presets.KINDS:
        settings = presets.start("lora", kind, family, RESOLUTION[family])
        assert settings["method.text_encoder"] == (family != "sdxl")
        assert 0.1 <= settings["dataset.regularization_caption_dropout"] <= 0.2


def test_every_method_is_described_and_every_description_has_its_method():
    assert list(METHOD_INFO) == list(METHODS)


def test_the_models_family_is_read_from_its_header():
    assert model_kind(str(TOY)) == model_kind(str(TOY), "sdxl")
    assert model_kind(str(TOY)).family == "toy" and model_kind(str(TOY)).resolution == 64
    assert model_kind("nothing.safetensors", "sdxl").family == "sdxl"
    assert model_kind("nothing.ckpt").family == "sd1"


def test_a_file_that_is_not_a_model_breaks_nothing(tmp_path: Path):
    for number, content in enumerate((b"", b"\xff" * 100, b"\x05\0\0\0\0\0\0\0{}]]]")):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(content)
        assert model_kind(str(path)).family == "sd1"
