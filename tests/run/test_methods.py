"""Whole runs of every method: what is saved is what was trained, the host's model stays bit for bit what it was, and a
resumed run is bit-equal to one never stopped."""

from __future__ import annotations

import json
import os
import signal
import typing
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sdft_ext.control import RunControl
from sdft_ext.formats.hypernetwork import read as read_hypernetwork
from sdft_ext.formats.hypernetwork import write as write_hypernetwork
from sdft_ext.host.standalone import StandaloneHost
from sdft_ext.method import METHODS
from sdft_ext.recipe import ADAPTERS, METHOD_INFO, MethodName, Recipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import resume, train
from sdft_ext.run_folder import state
from tests.run import killed, tiny
from tests.run.step_hooks import Between

HARD = (
    "train.length=5",
    "save.every=0",
    "method.lora.layers=all",
    "method.lora.alpha=3",
    "method.lora.dropout=0.1",
    "method.lora.rank_dropout=0.2",
    "method.lora.norm_cap=0.05",
    "train.ema=0.9",
    "method.embedding.norm_pull=0.1",
    "method.hypernetwork.dropout=0, 0.1, 0",
)
"""Everything that is random, keeps a state between steps, or changes weights besides the optimizer."""


WORDS = "dataset.template=[name] [filewords]"
"""Captions with the trigger."""
CONTINUES = {
    "lora": "method.lora.continue_from",
    "embedding": "method.embedding.continue_from",
    "hypernetwork": "method.hypernetwork.continue_from",
    "checkpoint": "model.base",
}
"""Kind of saved file → the setting that names a file to start from."""


def recipe(name: str, data: Path, folder: Path, *settings: str) -> Recipe:
    plus = ("method.lora.up_ratio=4",) if name in ("lora", "dora", "pivotal") else ()
    if name != "textual_inversion":
        plus += ("train.text_encoder_stop=0.6",)
    if name in ADAPTERS:
        plus += ("train.class_preservation=0.5", "train.blank_preservation=0.5")
    return tiny.recipe(data, folder, f"method.name={name}", WORDS, *HARD, *plus, *settings)


def test_every_method_of_the_recipe_is_there() -> None:
    assert tuple(METHODS) == typing.get_args(MethodName)
    assert all(METHODS[name]().name == name for name in METHODS)


@pytest.mark.parametrize("name", METHODS)
def test_stopped_and_resumed_is_as_never_stopped(name: str, data: Path, tmp_path: Path) -> None:
    made = recipe(name, data, tmp_path)
    whole = train(made, folder=tmp_path / "whole", quiet=True)
    assert whole.outcome == "finished", whole.message
    facts = json.loads((whole.folder / "report.json").read_text())
    assert facts["readback_max_diff"] < 1e-5
    rates = next(line for line in tiny.losses(whole.folder) if line["step"] == 1)
    assert ("lr/unet_up" in rates) == (name in ("lora", "dora", "pivotal"))

    control, host = RunControl(), Between(made, tmp_path / "run", lambda done: None)
    model = host.borrow()
    host.give_back()
    before = tiny.bits(model)

    def look(done: int) -> None:
        assert host.shelf.model is not None and tiny.bits(host.shelf.model) == before, "between steps"
        if done == 2:
            control.stop()

    host.do = look
    stopped = train(made, folder=tmp_path / "run", control=control, host=host, quiet=True)
    assert stopped.outcome == "stopped", stopped.message
    assert host.shelf.model is not None and tiny.bits(host.shelf.model) == before
    resumed = resume(tmp_path / "run", host=StandaloneHost(made.model), quiet=True)
    assert resumed.outcome == "finished", resumed.message
    assert tiny.losses(resumed.folder) == tiny.losses(whole.folder)
    assert tiny.last_state(resumed.folder) == tiny.last_state(whole.folder)
    wanted, found = tiny.saved(whole.folder), tiny.saved(resumed.folder)
    assert {file: found[file] for file in wanted} == wanted


@pytest.mark.parametrize("name", METHODS)
def test_another_run_continues_from_the_file(name: str, data: Path, tmp_path: Path) -> None:
    """With a learning rate of next to nothing, it ends with that file: rank, strength and values are the file's."""
    off = ("train.ema=0", "method.lora.norm_cap=0", "train.length=3")
    first = train(recipe(name, data, tmp_path, *off), folder=tmp_path / "first", quiet=True)
    own = (
        f"{CONTINUES[METHOD_INFO[name].saved_as]}={first.saves[-1]}",
        "method.embedding.norm_pull=0",
        "method.lora.rank=1",
        "train.learning_rate=1e-12",
    )
    on = train(recipe(name, data, tmp_path, *off, *own), folder=tmp_path / "on", quiet=True)
    assert on.outcome == "finished", on.message
    one, other = (values(result.saves[-1]) for result in (first, on))
    assert one.keys() == other.keys()
    for key, value in one.items():
        assert torch.allclose(other[key], value, rtol=1e-4, atol=1e-7), key


def test_what_stops_with_the_text_encoder_no_longer_changes(data: Path, tmp_path: Path) -> None:
    """Words too: nothing changes the norms of their vectors any more."""
    settings = ("train.length=4", "train.ema=0", "train.text_encoder_stop=0.5", "save.every=2")
    run = train(recipe("pivotal", data, tmp_path, *settings), folder=tmp_path / "run", quiet=True)
    one, other = (load_file(path) for path in run.saves)
    still = {key for key in one if torch.equal(one[key], other[key])}
    learned = {key for key in one if key.startswith(("lora_te", "bundle_emb"))}
    assert any(key.startswith("bundle_emb") for key in learned) and learned <= still
    assert any(key.startswith("lora_unet") and key not in still for key in one)


@pytest.mark.parametrize("save_as", ["checkpoint", "lora"])
def test_the_mean_of_bf16_weights_is_saved_as_it_is(save_as: str, data: Path, tmp_path: Path) -> None:
    """Not rounded to bf16; what has not moved stays the file's, to the bit."""
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"
    key = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
    still = key.replace("to_q", "to_k")
    settings = ("method.full.weights=bf16", "train.precision=bf16", "method.full.frozen=[to_k]")
    saved = (f"method.full.save_as={save_as}", "method.full.lora_rank=32")
    run = train(recipe("full", data, tmp_path, *settings, *saved), folder=tmp_path / "run", quiet=True)
    assert run.outcome == "finished", run.message
    tree = state.read_last(run.folder / "state")[1]  # type: ignore[index]
    mean = dict(zip(tree["method"], tree["loop"]["ema"]["mean"], strict=True))[f"unet.{name}"]
    assert not torch.equal(mean, mean.bfloat16().float())
    base, found = load_file(data / "base.safetensors"), load_file(run.saves[-1])
    if save_as == "checkpoint":
        assert torch.equal(found[key], mean) and torch.equal(found[still], base[still])
        return
    layer = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
    change = found[f"{layer}.lora_up.weight"] @ found[f"{layer}.lora_down.weight"]
    assert torch.allclose(change, mean - base[key].bfloat16().float(), atol=1e-6)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL and a fork server")
@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_killed_and_resumed_is_as_never_killed(name: str, data: Path, tmp_path: Path) -> None:
    made = recipe(name, data, tmp_path, "train.length=6", "save.every=2", "save.state_every=2")
    recipe_file.write(tmp_path / "recipe.yaml", made)
    whole, run = train(made, folder=tmp_path / "whole", quiet=True).folder, tmp_path / "run"
    process = killed.start(tmp_path / "recipe.yaml", run, ".step-000004.tmp/state.json", tmp_path / "touches")
    process.join()
    assert process.exitcode == -signal.SIGKILL and not (run / "report.json").exists()
    assert [path.name for path in state.states(run / "state")] == ["step-000002"], "what it goes on from"
    assert resume(run, quiet=True).outcome == "finished"
    assert tiny.losses(run) == tiny.losses(whole)
    assert tiny.last_state(run) == tiny.last_state(whole)
    assert tiny.saved(run) == tiny.saved(whole)


def test_a_hypernetwork_that_has_diverged_ends_the_run_with_a_sentence(data: Path, tmp_path: Path) -> None:
    """It goes on from a file whose networks have left all bounds; no save is written."""
    first = train(recipe("hypernetwork", data, tmp_path, "train.length=1"), folder=tmp_path / "first", quiet=True)
    file = read_hypernetwork(first.saves[-1])
    for both in file.weights.values():
        for weights in both:
            for value in weights.values():
                value.fill_(1e30)
    write_hypernetwork(tmp_path / "broken.pt", file, "fp32")
    on = recipe("hypernetwork", data, tmp_path, f"method.hypernetwork.continue_from={tmp_path / 'broken.pt'}")
    result = train(on, folder=tmp_path / "run", quiet=True)
    assert result.outcome == "failed" and "Lower the learning rate" in result.message, result.message
    assert not result.saves


def values(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file of any method."""
    if path.suffix == ".safetensors":
        return load_file(path)
    both = read_hypernetwork(path).weights.items()
    return {
        f"{width} {n} {key}": value for width, pair in both for n, one in enumerate(pair) for key, value in one.items()
    }
