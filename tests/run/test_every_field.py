"""Every setting of a recipe does something: changed alone, it changes what a run computes, draws, or writes when.

Metadata, reports and recipe.yaml don't count. A setting without an entry here fails the suite.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sdft_ext import run as runs
from sdft_ext.host.standalone import StandaloneHost
from sdft_ext.model.base import Model
from sdft_ext.recipe import Recipe, RecipeError
from sdft_ext.recipe.rules import fields
from tests.run import tiny

PROMPT = 'watch.concept_prompts=["a sks cat"]'
CONCEPT = "dataset.concepts.0."
ALL_SHOWN = (CONCEPT + "regularization=", CONCEPT + "repeats=2", "train.length=6")
"""Every instance picture is shown, those of other shapes too."""
WORD = ("method.name=textual_inversion", "dataset.template=[name] [filewords]")
"""The captions contain the trigger."""
NETWORK = "method.name=hypernetwork"

CHANGES: dict[str, tuple[str, ...]] = {
    # setting: its new value, then what else must be set (in both runs) for it to matter
    "model.base": ("{data}/other.safetensors",),
    "model.vae": ("{data}/vae.safetensors",),
    "model.clip_skip": ("2",),
    CONCEPT + "trigger": ("xyz", "dataset.template=[name], [filewords]"),
    CONCEPT + "class_word": ("dog",),
    CONCEPT + "instance": ("{data}/others",),
    CONCEPT + "regularization": ("",),
    CONCEPT + "repeats": ("3",),
    CONCEPT + "regularization_repeats": ("2", CONCEPT + "repeats=2"),
    CONCEPT + "loss_weight": ("0.5",),
    "dataset.resolution": ("48",),
    "dataset.buckets": ("false",),
    "dataset.bucket_step": ("8", *ALL_SHOWN),
    "dataset.bucket_min": ("64",),
    "dataset.bucket_max": ("80", *ALL_SHOWN),
    "dataset.no_upscale": ("true",),
    "dataset.crop": ("random",),
    "dataset.flip": ("0.5",),
    "dataset.alpha": ("mask", "train.masked_loss=true", *ALL_SHOWN),
    "dataset.background": ("#102030",),
    "dataset.captions": ("filename",),
    "dataset.caption_lines": ("choose", CONCEPT + "instance={data}/choices"),
    "dataset.wildcards": ("true", CONCEPT + "instance={data}/choices"),
    "dataset.template": ("a photo of [name], [filewords]",),
    "dataset.prefix": ("a drawing of",),
    "dataset.suffix": ("at night",),
    "dataset.shuffle_tags": ("true",),
    "dataset.keep_tags": ("3", "dataset.shuffle_tags=true"),
    "dataset.tag_dropout": ("0.5",),
    "dataset.caption_dropout": ("0.5",),
    "dataset.regularization_caption_dropout": ("0.5",),
    "dataset.cache": ("disk",),
    "dataset.linked_folder": ("{data}/others", CONCEPT + "instance={data}/linked"),
    "dataset.cache_folder": ("{out}/elsewhere", "dataset.cache=disk"),
    "dataset.latents": ("random",),
    "method.name": ("dora",),
    "method.unet": ("false",),
    "method.text_encoder": ("false",),
    "method.lora.rank": ("3",),
    "method.lora.alpha": ("1",),
    "method.lora.dropout": ("0.5",),
    "method.lora.rank_dropout": ("0.5",),
    "method.lora.rslora": ("true",),
    "method.lora.layers": ("linear",),
    "method.lora.conv_rank": ("1", "method.lora.layers=all"),
    "method.lora.conv_alpha": ("1", "method.lora.layers=all"),
    "method.lora.block_ranks": ("{{mid_block: 1}}",),
    "method.lora.text_rank": ("1",),
    "method.lora.factor": ("2", "method.name=lokr"),
    "method.lora.up_ratio": ("4",),
    "method.lora.norm_cap": ("1e-3",),
    "method.lora.continue_from": ("{data}/before.safetensors",),
    "method.full.save_as": ("lora", "method.name=full"),
    "method.full.lora_rank": ("2", "method.name=full", "method.full.save_as=lora"),
    "method.full.frozen": ("[down_blocks]", "method.name=full"),
    "method.full.weights": ("bf16", "method.name=full", "train.precision=bf16"),
    "method.embedding.words": ("{{cat: dog}}", *WORD),
    "method.embedding.vectors": ("2", *WORD),
    "method.embedding.norm_pull": ("0.5", *WORD),
    "method.embedding.learning_rate": ("1e-3", "method.name=pivotal", *WORD[1:]),
    "method.embedding.continue_from": ("{data}/word.safetensors", *WORD),
    "method.hypernetwork.sizes": ("32", NETWORK),
    "method.hypernetwork.layer_structure": ("1, 3, 1", NETWORK),
    "method.hypernetwork.activation": ("relu", NETWORK),
    "method.hypernetwork.activate_last": ("true", NETWORK, "method.hypernetwork.activation=tanh"),
    "method.hypernetwork.init": ("XavierNormal", NETWORK),
    "method.hypernetwork.layer_norm": ("true", NETWORK),
    "method.hypernetwork.dropout": ("0, 0.5, 0", NETWORK),
    "method.hypernetwork.continue_from": ("{data}/network.pt", NETWORK),
    "train.length": ("3",),
    "train.length_unit": ("pictures",),
    "train.batch_size": ("1",),
    "train.accumulation": ("2",),
    "train.learning_rate": ("1e-3",),
    "train.text_encoder_learning_rate": ("1e-3",),
    "train.text_encoder_stop": ("0.5",),
    "train.schedule": ("linear",),
    "train.warmup": ("2",),
    "train.cycles": ("2", "train.schedule=cosine_with_restarts"),
    "train.power": ("2", "train.schedule=polynomial"),
    "train.schedule_steps": ("1e-2:2, 1e-3", "train.schedule=steps", "train.schedule_steps=1e-2"),
    "train.optimizer": ("lion",),
    "train.weight_decay": ("0.5",),
    "train.optimizer_options": ("{{betas: '0.5, 0.9'}}",),
    "train.clip_norm": ("1e-3",),
    "train.ema": ("0.9",),
    "train.loss": ("l1",),
    "train.huber_delta": ("0.5", "train.loss=huber"),
    "train.snr_weighting": ("debiased",),
    "train.snr_gamma": ("1", "train.snr_weighting=min_snr"),
    "train.prior_loss_weight": ("0.5",),
    "train.class_preservation": ("1", *WORD[1:]),
    "train.blank_preservation": ("1",),
    "train.noise_offset": ("0.1",),
    "train.multires_iterations": ("3",),
    "train.multires_discount": ("0.8", "train.multires_iterations=3"),
    "train.input_perturbation": ("0.1",),
    "train.timestep_min": ("500",),
    "train.timestep_max": ("500",),
    "train.timestep_distribution": ("cubic",),
    "train.logit_mean": ("1", "train.timestep_distribution=logit_normal"),
    "train.logit_std": ("2", "train.timestep_distribution=logit_normal"),
    "train.zero_terminal_snr": ("true",),
    "train.masked_loss": ("true",),
    "train.unmasked_weight": ("0.5", "train.masked_loss=true"),
    "train.precision": ("bf16",),
    "train.sdpa": ("false",),
    "train.channels_last": ("true",),
    "train.seed": ("2",),
    "save.output": ("{out}/deeper",),
    "save.name": ("other",),
    "save.every": ("1",),
    "save.every_unit": ("epochs",),
    "save.first_epoch": ("2",),
    "save.keep_last": ("1",),
    "save.precision": ("fp16",),
    "save.state_every": ("1",),
    "watch.every": ("1", PROMPT),
    "watch.concept_prompts": ('["a sks cat on grass"]', PROMPT),
    "watch.bleeding_prompts": ('["a dog"]',),
    "watch.propose_prompts": ("true",),
    "watch.pictures": ("3", PROMPT),
    "watch.judge": ("true", PROMPT, 'watch.bleeding_prompts=["a cat"]'),
    "watch.seed": ("5", PROMPT),
    "watch.sampler_steps": ("2", PROMPT),
    "watch.guidance": ("3", PROMPT),
    "watch.negative": ("a dog", PROMPT),
    "watch.size": ("32", PROMPT),
    "watch.validation_every": ("2",),
    "watch.validation_share": ("0.4", "watch.validation_every=2"),
    "watch.validation_draws": ("2", "watch.validation_every=2"),
    "watch.log_every": ("3",),
    "watch.smoothing": ("0.5",),
    "watch.tensorboard": ("true",),
}
BY_THEMSELVES = {
    "version": "only one value is valid: test_version",
    CONCEPT + "name": "only names: test_concept_name",
    CONCEPT + "kind": "only chooses the counts that the report compares with: test_concept_kind",
    "save.private": "leaves out metadata, which doesn't count above: test_private",
    "train.checkpointing": "trades time for memory, the numbers stay: test_checkpointing",
    "train.deterministic": "the CPU's numbers are always the same: test_deterministic",
    "train.compile": "takes minutes: test_compile",
    "save.keep_best": "acts by the verdict: tests/judge/test_judge.py",
    "watch.stop_early": "acts by the verdict: tests/run/test_verdicts.py",
    "watch.picture_losses": "measures in longer runs alone: tests/run/test_picture_losses.py",
    "save.state_share": "acts by the time that passes: tests/run/test_checkpoint.py",
}

Fingerprint = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder with the files that some settings name."""
    other = tiny.checkpoint(data / "other.safetensors", seed=1)
    (data / "linked").mkdir()
    for number, picture in enumerate(sorted((data / "others").glob("*.png"))[:2]):
        target = data / "linked" / picture.name
        target.symlink_to(picture) if number else shutil.copy(picture, target)
    (data / "choices").mkdir()
    for picture in sorted((data / "instance").glob("[0-4]*.png")):
        shutil.copy(picture, data / "choices")
        (data / "choices" / f"{picture.stem}.txt").write_text("a cat, red\na {small|large} cat sits on the grass\n")
    prefix = "first_stage_model."
    vae = {name[len(prefix) :]: tensor for name, tensor in load_file(other).items() if name.startswith(prefix)}
    save_file(vae, str(data / "vae.safetensors"))
    before = runs.train(tiny.recipe(data, tmp_path_factory.mktemp("before"), "train.seed=9"), quiet=True)
    before.saves[-1].rename(data / "before.safetensors")
    for name, file in (("textual_inversion", "word.safetensors"), ("hypernetwork", "network.pt")):
        settings = (f"method.name={name}", "train.seed=9", "dataset.template=[name] [filewords]")
        other_run = runs.train(tiny.recipe(data, tmp_path_factory.mktemp(name), *settings), quiet=True)
        other_run.saves[-1].rename(data / file)
    return data


@pytest.fixture(scope="module")
def fingerprint(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Fingerprint:
    known: dict[tuple[str, ...], dict[str, Any]] = {}

    def of(*settings: str, fresh: bool = False) -> dict[str, Any]:
        if fresh or settings not in known:
            out = tmp_path_factory.mktemp("out")
            recipe = tiny.recipe(made, out, *(setting.replace("{out}", str(out)) for setting in settings))
            result = runs.train(recipe, quiet=True)
            assert result.outcome == "finished", result.message
            known[settings] = tiny.fingerprint(result.folder, out)
        return known[settings]

    return of


def test_no_setting_is_forgotten() -> None:
    assert {setting.path for setting in fields(Recipe)} == CHANGES.keys() | BY_THEMSELVES.keys()
    assert not CHANGES.keys() & BY_THEMSELVES.keys()


def test_the_same_recipe_does_the_same(fingerprint: Fingerprint) -> None:
    assert fingerprint() == fingerprint(fresh=True)


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_shows(path: str, made: Path, fingerprint: Fingerprint) -> None:
    value, *context = CHANGES[path]
    value = value.format(data=made, out="{out}")
    context = [setting.replace("{data}", str(made)) for setting in context]
    without = fingerprint(*context)
    assert fingerprint(*context, f"{path}={value}") != without


def test_version(made: Path, tmp_path: Path) -> None:
    recipe = tiny.recipe(made, tmp_path)
    recipe.version = 2
    with pytest.raises(RecipeError, match="version"):
        runs.train(recipe, quiet=True)


def test_an_unknown_method(made: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"method\.name"):
        tiny.recipe(made, tmp_path, "method.name=none such")


def test_concept_name(made: Path, tmp_path: Path) -> None:
    run = runs.train(tiny.recipe(made, tmp_path, CONCEPT + "name=Minka"), quiet=True).folder
    assert "Minka" in (run / "report.json").read_text() and "Minka" in (run / "report.md").read_text()


def test_concept_kind(made: Path, tmp_path: Path) -> None:
    advice = []
    for kind in ("subject", "style"):
        run = runs.train(tiny.recipe(made, tmp_path, f"{CONCEPT}kind={kind}", "train.length=1"), quiet=True).folder
        advice.append(json.loads((run / "report.json").read_text())["dataset"]["advice"])
    assert advice[0] != advice[1]


def test_private(made: Path, tmp_path: Path) -> None:
    metadata = []
    for private in ("false", "true"):
        recipe = tiny.recipe(made, tmp_path, f"save.private={private}", "train.length=1")
        with safe_open(runs.train(recipe, quiet=True).saves[-1], "pt") as file:
            metadata.append(json.dumps(file.metadata()))
    words = ("sitting", "instance", "sks")
    assert [[word in text for word in words] for text in metadata] == [[True] * 3, [False] * 3]


class Watched(StandaloneHost):
    """Lends a model that records what ``look()`` returns at each computation while it trains."""

    def __init__(self, recipe: Recipe, look: Callable[[], object]) -> None:
        super().__init__(recipe.model)
        self.look, self.seen = look, list[object]()

    def borrow(self) -> Model:
        model = super().borrow()
        model.unet.mid_block.resnets[1].register_forward_pre_hook(lambda module, _: self.note(module.training))
        return model

    def note(self, training: bool) -> None:
        if training:
            self.seen.append(self.look())


def watched(recipe: Recipe, look: Callable[[], object] = lambda: None) -> tuple[list[object], Path]:
    host = Watched(recipe, look)
    result = runs.train(recipe, host=host, quiet=True)
    assert result.outcome == "finished", result.message
    return host.seen, result.folder


def test_checkpointing(made: Path, tmp_path: Path) -> None:
    """What was thrown away is computed again for the gradients, and the numbers stay."""
    once, plain = watched(tiny.recipe(made, tmp_path))
    twice, checkpointed = watched(tiny.recipe(made, tmp_path, "train.checkpointing=true"))
    assert (len(once), len(twice)) == (4, 8)
    losses = [[line["loss"] for line in tiny.losses(run)] for run in (plain, checkpointed)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_deterministic(made: Path, tmp_path: Path) -> None:
    """Torch's ways that repeat, without the attention whose gradients don't; all as before after the run."""

    def enabled() -> tuple[bool, bool]:
        return torch.are_deterministic_algorithms_enabled(), torch.backends.cuda.mem_efficient_sdp_enabled()

    before = enabled()
    assert before == (False, True)
    for value, wanted in (("false", before), ("true", (True, False))):
        seen, _ = watched(tiny.recipe(made, tmp_path, f"train.deterministic={value}"), enabled)
        assert seen == [wanted] * 4
        assert enabled() == before, "put back"


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="torch.compile needs a compiler on the CPU")
def test_compile(made: Path, tmp_path: Path) -> None:
    """On the smallest UNet: each kernel takes the C++ compiler a second."""
    from torch._dynamo.utils import counters

    small = f"model.base={tiny.checkpoint(tmp_path / 'small.safetensors', levels=1)}"
    _, plain = watched(tiny.recipe(made, tmp_path, small))
    assert not counters["stats"]["unique_graphs"]
    _, compiled = watched(tiny.recipe(made, tmp_path, small, "train.compile=true"))
    assert counters["stats"]["unique_graphs"]
    losses = [[line["loss"] for line in tiny.losses(run)] for run in (plain, compiled)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
