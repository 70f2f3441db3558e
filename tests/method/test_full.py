"""DreamBooth and full fine-tuning: the host stays bit for bit, the checkpoint is the base's own but for what
trained.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from sdft_ext.formats.checkpoint import CheckpointError
from sdft_ext.formats.tensor_file import TensorFile
from sdft_ext.host.standalone import Shelf, StandaloneHost
from sdft_ext.method.base import MethodError
from sdft_ext.method.full import DreamboothMethod, FullMethod
from sdft_ext.model import borrow, text
from sdft_ext.model.base import Model, predict
from sdft_ext.model.copies import parameters
from sdft_ext.model.load import load
from sdft_ext.model.share import replace_parameters, share
from sdft_ext.recipe import Recipe, RecipeError
from sdft_ext.run import train
from sdft_ext.run_folder.facts import read_facts
from sdft_ext.tools.convert import convert
from sdft_ext.train.loop import refuse_compile
from sdft_ext.train.rounding import Rounding, rounded
from tests.method.perturbed import moved
from tests.model import ldm
from tests.run import tiny

NOISE, TIMES = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500])
IDS = torch.tensor([[64.0, 64, 0, 0, 64, 64]])


@torch.no_grad()
def answer(model: Model) -> torch.Tensor:
    return predict(model, NOISE, TIMES, text.encode(model, ["a cat"]), IDS)


def world(name: str, folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Model, Path]:
    """A model in memory, and its file, with an unknown tensor and one of an EMA copy."""
    family = ldm.family(name)
    tensors = {key: value.contiguous() for key, value in ldm.state_dict(family).items()}
    tensors = {key: value.to(dtype) if value.is_floating_point() else value for key, value in tensors.items()}
    path = folder / f"{name}.safetensors"
    save_file(
        {**tensors, "model_ema.num_updates": torch.tensor(7), "cond.extra": torch.ones(3)}, path, {"made": "here"}
    )
    held = {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}
    return borrow.build(family, held, path), path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl"])
def test_the_checkpoint_answers_as_in_memory_and_the_host_stays(name: str, tmp_path: Path) -> None:
    model, base = world(name, tmp_path)
    before, untrained = tiny.bits(model), answer(model)
    method, path = FullMethod(), tmp_path / "save.safetensors"
    method.attach(model, Recipe())
    assert torch.equal(answer(model), untrained)
    moved(method)
    trained = answer(model)
    with method.without():
        assert torch.equal(answer(model), untrained)
    method.save(path, {"ss_steps": "3", "modelspec.architecture": "stable-diffusion-v1/lora"}, "fp16")
    method.detach()
    assert tiny.bits(model) == before and not torch.allclose(trained, untrained, atol=1e-2)
    with method.applied(path, model):
        assert torch.equal(answer(model), trained)
    with method.applied(path, model, 0.0):
        assert torch.equal(answer(model), untrained)
    with method.applied(path, model, 0.5):
        assert not torch.allclose(answer(model), trained, atol=1e-3)
    assert tiny.bits(model) == before
    one, other = TensorFile(path), TensorFile(base)
    assert one.entries == other.entries and list(one) == list(other)
    assert one.metadata["made"] == "here" and one.metadata["modelspec.architecture"] == "stable-diffusion-v1"
    first, second = load_file(path), load_file(base)
    alone = [k for k in second if k.startswith("first_stage") or "position_ids" in k or "logit_scale" in k]
    alone += ["model_ema.num_updates", "cond.extra"]
    alone += ["cond_stage_model.model.text_projection"] if name == "sd2" else []  # nobody reads it
    assert len(alone) > 50
    for key in second:
        assert torch.equal(first[key], second[key]) == (key in alone), key


def test_half_precision_stays_half_and_its_untouched_tensors_bit_for_bit(tmp_path: Path) -> None:
    model, base = world("sdxl", tmp_path, torch.float16)
    made, method = Recipe(), DreamboothMethod()
    made.method.text_encoder = False
    made.method.full.frozen = ["attn1", "conv_in"]
    method.attach(model, made)
    trained = {name for name in method.state()}
    assert trained and all(name.startswith("unet.") and "attn1" not in name for name in trained)
    assert "regularization" in method.notes[-1]
    moved(method)
    path = tmp_path / "save.safetensors"
    method.save(path, {}, "fp32")
    method.detach()
    one, other, held = load_file(path), load_file(base), TensorFile(base)
    for key, places in borrow.places(model.family, held).items():
        same = torch.equal(one[key], other[key])
        assert one[key].dtype == other[key].dtype and same == (not any(place.name in trained for place in places)), key


@pytest.mark.parametrize("zero", [True, False])
def test_a_checkpoint_of_a_folder_has_its_prediction_type(zero: bool, tmp_path: Path) -> None:
    base = {key: value.contiguous() for key, value in ldm.state_dict(ldm.family("sdxl")).items()}
    marks = {"v_pred": torch.empty(0), **({"ztsnr": torch.empty(0)} if zero else {})}
    save_file({**base, **marks}, tmp_path / "base.safetensors")
    convert(tmp_path / "base.safetensors", tmp_path / "folder")
    model, method, path = load(tmp_path / "folder"), DreamboothMethod(), tmp_path / "save.safetensors"
    method.attach(model, Recipe())
    moved(method)
    method.save(path, {"ss_steps": "3"}, "fp16")
    method.detach()
    saved = TensorFile(path)
    assert {name: saved.entries[name].shape for name in saved if name in ("v_pred", "ztsnr")} == {
        name: (0,) for name in marks
    }
    assert saved.metadata["modelspec.prediction_type"] == "v" and ("ztsnr" in saved.metadata) == zero
    family = load(path).family
    assert (family.prediction, family.zero_terminal_snr) == ("v_prediction", zero)


@pytest.mark.parametrize("weights", ["fp32", "bf16"])
def test_what_never_moved_is_saved_as_the_file_has_it_not_as_the_host_rounds_it(weights: str, tmp_path: Path) -> None:
    model, base = world("sd1", tmp_path)
    for module in model.modules:
        module.half()
    made = Recipe()
    made.method.full.weights = weights  # type: ignore[assignment]
    for save_as in ("checkpoint", "lora"):
        made.method.full.save_as = save_as  # type: ignore[assignment]
        method, path = FullMethod(), tmp_path / f"{save_as}.safetensors"
        method.attach(model, made)
        with torch.no_grad():
            moving = next(value for name, value in method.copies.values.items() if name.endswith("attn1.to_q.weight"))
            moving.add_(0.5)
        method.save(path, {}, "fp32")
        method.detach()
        if save_as == "lora":
            assert len({key.split(".")[0] for key in TensorFile(path)}) == 1
        else:
            one, other = load_file(path), load_file(base)
            assert [key for key in other if not torch.equal(one[key], other[key])] == [
                key for key in other if key.endswith("attn1.to_q.weight")
            ][:1]


def test_only_a_third_of_a_fused_tensor_trains(tmp_path: Path) -> None:
    model, base = world("sd2", tmp_path)
    made, method, path = Recipe(), FullMethod(), tmp_path / "save.safetensors"
    made.method.unet, made.method.full.frozen = False, ["k_proj", "v_proj", "mlp", "norm", "embedding", "out_proj"]
    method.attach(model, made)
    moved(method)
    method.save(path, {}, "fp32")
    key = "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight"
    one, other = load_file(path)[key], load_file(base)[key]
    width = len(one) // 3
    assert not torch.equal(one[:width], other[:width]) and torch.equal(one[width:], other[width:])


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    model, _ = world("sd1", tmp_path)
    before, made = tiny.bits(model), Recipe()
    for frozen, says in ((["no such"], "no parameter's name contains"), (["unet", "text"], "Nothing is left")):
        made.method.full.frozen = frozen
        with pytest.raises(MethodError, match=says):
            FullMethod().attach(model, made)
        assert tiny.bits(model) == before
    _, other = world("sdxl", tmp_path)
    with pytest.raises(CheckpointError, match="another kind of model"), FullMethod().applied(other, model):
        pass
    assert tiny.bits(model) == before
    method = FullMethod()
    method.attach(model, Recipe())
    with torch.no_grad():
        method.groups()[0].parameters[0].fill_(torch.inf)
    with pytest.raises(CheckpointError, match="not finite"):
        method.save(tmp_path / "broken.safetensors", {}, "fp32")
    assert not (tmp_path / "broken.safetensors").exists()


def test_a_model_that_the_host_rebuilds_replaces_the_old_one(tmp_path: Path) -> None:
    model, path = world("sd1", tmp_path)
    other = borrow.build(model.family, load_file(path), path)
    method = FullMethod()
    method.attach(model, Recipe())
    moved(method)
    trained = answer(model)
    replace_parameters(model, share(other))
    assert torch.equal(answer(model), trained)
    method.detach()
    assert [id(p) for _, p in parameters(model)] == [id(p) for _, p in parameters(other)]


@pytest.mark.slow
def test_as_a_lora_nothing_is_lost_at_full_rank(tmp_path: Path) -> None:
    model, _ = world("sdxl", tmp_path)
    made, method, path = Recipe(), FullMethod(), tmp_path / "lora.safetensors"
    made.method.full.save_as, made.method.full.lora_rank = "lora", 4096
    method.attach(model, made)
    moved(method)
    trained = answer(model)
    method.save(path, {}, "fp32")
    method.detach()
    with method.applied(path, model):
        whole = answer(model)
    assert torch.allclose(whole, trained, atol=1e-4)


def test_a_run_leaves_the_hosts_model_bit_identical_and_its_config_next_to_each_save(
    data: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base.safetensors"
    base.write_bytes((data / "base.safetensors").read_bytes())
    (tmp_path / "texts").mkdir()
    base.with_suffix(".yaml").write_text(
        "model:\n  params:\n    cond_stage_config:\n      params:\n        version: texts\n"
    )
    recipe = tiny.recipe(data, tmp_path, "method.name=dreambooth", f"model.base={base}", "save.keep_last=1")
    shelf = Shelf("cpu")
    host = StandaloneHost(recipe.model, shelf=shelf)
    host.borrow()
    host.give_back()
    assert shelf.model is not None
    before = tiny.bits(shelf.model)
    result = train(recipe, host=host, quiet=True)
    assert result.outcome == "finished" and tiny.bits(shelf.model) == before
    assert tiny.layout(result.saves[-1]) == tiny.layout(base)
    assert tiny.tensors(result.saves[-1]) != tiny.tensors(base)
    configs = list((result.folder / "saves").glob("*.yaml"))
    assert [path.name for path in configs] == ["tiny.yaml"], "that of a deleted save is gone"
    config = yaml.safe_load(configs[0].read_text())
    assert config["model"]["params"]["cond_stage_config"]["params"]["version"] == str(tmp_path / "texts")


TEXT_OFF, FROZEN, BF16 = "method.text_encoder=false", "method.full.frozen=[attn2]", "method.full.weights=bf16"


@pytest.mark.parametrize(
    ("held", "settings"),
    [
        (torch.float16, (TEXT_OFF, "train.precision=fp32")),
        pytest.param(torch.float16, (FROZEN, BF16, "train.precision=bf16"), marks=pytest.mark.slow),
        (torch.float32, (TEXT_OFF, FROZEN, BF16, "train.precision=bf16")),
        pytest.param(torch.float16, (FROZEN, "train.precision=bf16"), marks=pytest.mark.slow),
        pytest.param(
            torch.float32,
            ("method.full.frozen=[token_embedding]", BF16, "train.precision=bf16"),
            marks=pytest.mark.slow,
        ),
        pytest.param(torch.float32, ("method.full.save_as=lora", BF16, "train.precision=bf16"), marks=pytest.mark.slow),
    ],
)
def test_trained_weights_may_have_another_dtype_than_frozen_ones(
    held: torch.dtype, settings: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    """Steps, control pictures, validation and the read-back; the host's model stays, and so does what was frozen."""
    watch = ("watch.concept_prompts=[a cat]", "watch.validation_every=1")
    made = tiny.recipe(data, tmp_path, "method.name=full", "train.length=2", *watch, *settings)
    host, model = held_in(held, made)
    before = tiny.bits(model)
    result = train(made, host=host, quiet=True)
    assert result.outcome == "finished" and tiny.bits(model) == before
    assert any(name.startswith("validation") for line in tiny.losses(result.folder) for name in line)
    assert read_facts(result.folder)["readback_max_diff"] < 0.1
    one, other = load_file(result.saves[-1]), load_file(data / "base.safetensors")
    if FROZEN in settings:
        same = {key: torch.equal(one[key], other[key]) for key in other}
        assert all(same[key] for key in same if "attn2" in key) and not all(same.values())


def test_float32_on_a_model_in_half_precision_is_refused(data: Path, tmp_path: Path) -> None:
    made = tiny.recipe(data, tmp_path, "train.precision=fp32")
    host, _ = held_in(torch.float16, made)
    with pytest.raises(RecipeError, match="loaded in half precision"):
        train(made, host=host, quiet=True)


@pytest.mark.parametrize(
    ("held", "precision", "settings"),
    [
        (torch.float16, "bf16", ("method.name=lora",)),
        (torch.float16, "bf16", ("method.name=full", TEXT_OFF)),
        (torch.bfloat16, "fp16", ("method.name=lora",)),
    ],
)
@pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch before 2.3 has no fp16 on a CPU")
def test_one_half_precision_in_the_other_on_a_cpu_is_refused(
    held: torch.dtype, precision: str, settings: tuple[str, ...], data: Path, tmp_path: Path
) -> None:
    """A CPU's layers don't mix them (a GPU's do)."""
    made = tiny.recipe(data, tmp_path, f"train.precision={precision}", *settings)
    host, model = held_in(held, made)
    before = tiny.bits(model)
    with pytest.raises(RecipeError, match=f"set train.precision to {'fp16' if precision == 'bf16' else 'bf16'}"):
        train(made, host=host, quiet=True)
    assert tiny.bits(model) == before


def test_a_compiler_that_is_known_to_fail_is_refused() -> None:
    made, cpu = Recipe(), torch.device("cpu")
    made.method.name = "lora"
    with pytest.raises(RecipeError, match=r"torch 2\.1\.2\+cu121.*set it to false"):
        refuse_compile("2.1.2+cu121", cpu, made)
    refuse_compile("2.1.2+cu121", torch.device("cuda"), made)
    refuse_compile("2.13.0", cpu, made)
    made.method.name = "full"
    refuse_compile("2.1.2+cu121", cpu, made)


def held_in(dtype: torch.dtype, made: Recipe) -> tuple[StandaloneHost, Model]:
    """A host that holds the recipe's model in a number format, but for the VAE (slow on a CPU in half precision)."""
    shelf = Shelf("cpu")
    host = StandaloneHost(made.model, shelf=shelf)
    host.borrow()
    host.give_back()
    assert shelf.model is not None
    for module in (shelf.model.unet, *shelf.model.text_encoders):
        module.to(dtype)
    return host, shelf.model


def test_rounding_is_right_in_the_mean_and_repeats() -> None:
    values = torch.full((20000,), 1.0 + 2**-7 / 4)
    found = rounded(values, torch.Generator().manual_seed(0))
    assert set(found.tolist()) == {1.0, 1.0 + 2**-7}
    assert found.float().mean() == pytest.approx(float(values[0]), abs=1e-4)
    assert torch.equal(found, rounded(values, torch.Generator().manual_seed(0)))
    exact = torch.randn(1000).bfloat16()
    assert torch.equal(rounded(exact.float(), torch.Generator().manual_seed(1)), exact)


@pytest.mark.parametrize("kind", ["adamw", "adafactor", "came", "lion", "adamw_schedule_free"])
def test_parameters_moved_together_end_as_one_by_one_to_the_bit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from sdft_ext.method.base import ParameterGroup
    from sdft_ext.recipe import TrainRecipe
    from sdft_ext.train import rounding
    from sdft_ext.train.optimizers import build

    ends, calls = [], []
    for most in (1, 2000, 2**24):
        monkeypatch.setattr(rounding, "MOST", most)
        draws = torch.Generator().manual_seed(0)
        shapes = [(30, 20), (40,), (50, 30), (3, 4, 3, 3), (7, 5)]
        parameters = [torch.nn.Parameter(torch.randn(shape, generator=draws).bfloat16()) for shape in shapes]
        parameters.append(torch.nn.Parameter(torch.randn(6, generator=draws)))
        groups = [ParameterGroup("unet", parameters[:4], 1e-2), ParameterGroup("text_encoder", parameters[4:], 1e-3)]
        optimizer = build(groups, TrainRecipe(optimizer=kind, learning_rate=1e-2))  # type: ignore[arg-type]
        own, seen = optimizer.step, []
        optimizer.step = lambda own=own, seen=seen: (seen.append(1), own())  # type: ignore[method-assign, misc]
        stepped = Rounding(optimizer, 1)
        for number in range(4):
            stepped.number = number
            for place, parameter in enumerate(parameters):
                skipped = number == 2 and place == 1
                gradient = torch.randn(parameter.shape, generator=draws).to(parameter.dtype)
                parameter.grad = None if skipped else gradient
            stepped.step()
        ends.append([parameter.detach() for parameter in parameters])
        calls.append(len(seen))
        assert all(parameter.dtype == torch.bfloat16 for parameter in parameters[:5])
    assert all(torch.equal(one, other) for end in ends[1:] for one, other in zip(ends[0], end, strict=True))
    assert calls[0] == 4 * 6 - 1 and calls[2] == 4 * 2 < calls[1] < calls[0]


@pytest.mark.parametrize("kind", ["adamw", "adafactor", "came", "lion"])
def test_steps_too_small_for_bfloat16_still_arrive(kind: str) -> None:
    """Against the same steps in float32, whose way is far shorter than the distance between two numbers each."""
    from sdft_ext.method.base import ParameterGroup
    from sdft_ext.recipe import TrainRecipe
    from sdft_ext.train.optimizers import build

    ends, settings, draws = [], [], torch.Generator().manual_seed(0)
    gradients = torch.randn(30, 64, 64, generator=draws) + 1
    for dtype in (torch.float32, torch.bfloat16):
        parameters = [torch.nn.Parameter(torch.ones(64, 64, dtype=dtype)) for _ in range(2)]
        made = TrainRecipe(optimizer=kind, learning_rate=1e-4, weight_decay=0.0)  # type: ignore[arg-type]
        optimizer = build([ParameterGroup("unet", parameters, 1e-4)], made)
        rounding = Rounding(optimizer, 1)
        for number, gradient in enumerate(gradients):
            rounding.number = number
            for parameter in parameters:
                parameter.grad = gradient.to(dtype)
            (rounding if dtype == torch.bfloat16 else optimizer).step()
        ends.append([float(parameter.detach().float().mean()) for parameter in parameters])
        assert len(optimizer.param_groups[0]["params"]) == 2
        settings.append({name: value for name, value in optimizer.param_groups[0].items() if name != "params"})
    assert settings[0] == settings[1], "a step counts once, however many parameters"
    for one, other in zip(*ends, strict=True):
        assert other == pytest.approx(one, abs=3e-4) and one < 0.9985


def test_bf16_weights_need_bf16_and_an_optimizer_that_moves_them_one_by_one(data: Path, tmp_path: Path) -> None:
    for settings, says in (((), "set both to bf16"), (("train.precision=bf16", "train.optimizer=prodigy"), "prodigy")):
        with pytest.raises(RecipeError, match=says):
            tiny.recipe(data, tmp_path, "method.name=full", "method.full.weights=bf16", *settings)


@pytest.mark.slow
def test_bf16_weights_train_and_are_resumed(data: Path, tmp_path: Path) -> None:
    settings = ("method.name=full", "method.full.weights=bf16", "train.precision=bf16", "train.ema=0.9")
    recipe = tiny.recipe(data, tmp_path, *settings, "train.learning_rate=1e-3", "train.checkpointing=true")
    result = train(recipe, quiet=True)
    assert result.outcome == "finished", result.message
    assert tiny.tensors(result.saves[0]) != tiny.tensors(result.saves[1])
