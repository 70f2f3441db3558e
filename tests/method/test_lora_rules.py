"""Ranks and strengths, randomness, continuing, and what happens when something is wrong."""

import json
import math

import pytest
import torch
from safetensors import safe_open

from sdft_ext.formats.kohya import LoraFileError
from sdft_ext.method.adapters import AdapterConfig, Adapters, wrappable
from sdft_ext.method.base import MethodError
from sdft_ext.method.lora import LoraMethod, applied, read
from sdft_ext.method.lora_layers import configured, most_rank
from sdft_ext.model import text
from sdft_ext.model.base import Model, predict
from sdft_ext.recipe import LoraRecipe, Recipe
from tests.method.adapted import build, near

NOISE, TIMES = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500])
LINEAR, KERNEL = "unet.mid_block.attentions.0.proj_in", "unet.mid_block.resnets.0.conv1"
TEXT = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"


def recipe(**lora: object) -> Recipe:
    made = Recipe()
    for name, value in {"rank": 4, "alpha": 4.0, "layers": "attention", **lora}.items():
        setattr(made.method.lora, name, value)
    return made


class Attached:
    """A method in a model, with random weights as after training; taken out at the end."""

    def __init__(self, model: Model, made: Recipe, spread: float = 1.0) -> None:
        self.method, generator = LoraMethod(), torch.Generator().manual_seed(3)
        self.method.attach(model, made)
        with torch.no_grad():
            for _, up in self.method.adapters.weights().values():
                up.copy_(torch.randn(up.shape, generator=generator) * spread)

    def __enter__(self) -> LoraMethod:
        return self.method

    def __exit__(self, *_: object) -> None:
        self.method.detach()


@torch.no_grad()
def answer(model: Model) -> torch.Tensor:
    return predict(model, NOISE, TIMES, text.encode(model, ["a cat"]))


def saved(model, made, path, precision="fp32"):
    with Attached(model, made) as method:
        method.save(path, {"ss_seed": "1"}, precision)
        return answer(model)


@pytest.mark.parametrize(
    ("name", "weight", "lora", "rank", "scale"),
    [
        (LINEAR, (64, 64, 1, 1), {}, 4, 1.0),
        (LINEAR, (64, 64, 1, 1), {"alpha": 2.0}, 4, 0.5),
        (LINEAR, (64, 64, 1, 1), {"alpha": 0.0}, 4, 1.0),
        (LINEAR, (64, 64, 1, 1), {"alpha": 2.0, "rslora": True}, 4, 1.0),
        (LINEAR, (64, 64, 1, 1), {"alpha": 2.0, "block_ranks": {"mid_block": 8}}, 8, 0.5),
        (LINEAR, (64, 64, 1, 1), {"block_ranks": {"mid_block": 8, "mid_block.att": 2}}, 2, 1.0),
        (LINEAR, (64, 64, 1, 1), {"conv_rank": 9, "conv_alpha": 3.0, "text_rank": 7}, 4, 1.0),
        (KERNEL, (64, 64, 3, 3), {"alpha": 2.0}, 4, 0.5),
        (KERNEL, (64, 64, 3, 3), {"alpha": 2.0, "conv_rank": 2}, 2, 0.5),
        (KERNEL, (64, 64, 3, 3), {"alpha": 2.0, "conv_rank": 2, "conv_alpha": 3.0}, 2, 1.5),
        (KERNEL, (64, 64, 3, 3), {"conv_alpha": 2.0}, 4, 0.5),
        (KERNEL, (64, 64, 3, 3), {"conv_alpha": 2.0, "block_ranks": {"resnets": 8}}, 8, 0.5),
        (TEXT, (64, 64), {"alpha": 2.0, "text_rank": 8}, 8, 0.5),
        (TEXT, (64, 64), {"text_rank": 8, "block_ranks": {"q_proj": 3}}, 3, 1.0),
    ],
)
def test_rank_and_strength_of_a_layer(name, weight, lora, rank, scale):
    shape = configured(name, weight, LoraRecipe(**{"rank": 4, "alpha": 4.0, **lora}))
    assert shape is not None and shape.rank == rank and shape.scale == pytest.approx(scale)


def test_rank_zero_leaves_a_block_out():
    assert configured(LINEAR, (64, 64), LoraRecipe(block_ranks={"mid_block": 0})) is None


@pytest.mark.parametrize(
    ("weight", "most"), [((64, 32), 32), ((64, 768), 64), ((32, 4, 3, 3), 32), ((320, 4, 3, 3), 36)]
)
def test_the_largest_rank_of_a_layer(weight, most):
    assert most_rank(weight) == most
    down, up = torch.randn(999, math.prod(weight[1:])), torch.randn(weight[0], 999)
    assert int(torch.linalg.matrix_rank(up @ down)) == most


def test_a_lowered_rank_keeps_its_strength_and_is_noted(model):
    with Attached(model, recipe(rank=128, alpha=64.0)) as method:
        assert {shape.rank for shape in method.adapters.shapes.values()} == {32, 64}
        assert {shape.scale for shape in method.adapters.shapes.values()} == {0.5}
        assert len(method.notes) == 1 and "rank" in method.notes[0]
    with Attached(model, recipe(rank=32)) as method:
        assert method.notes == []


def test_a_block_that_is_nowhere_is_refused(model):
    with pytest.raises(MethodError, match="block_ranks names 'mid_blok'"):
        LoraMethod().attach(model, recipe(block_ranks={"mid_block": 2, "mid_blok": 2}))


def test_a_method_attaches_once_and_again_after_detaching(model):
    method = LoraMethod()
    method.attach(model, recipe())
    with pytest.raises(RuntimeError, match="attached already"):
        method.attach(model, recipe())
    method.detach()
    method.detach()
    with pytest.raises(RuntimeError, match="not attached"):
        method.groups()
    method.attach(model, recipe(rank=2))
    assert {shape.rank for shape in method.adapters.shapes.values()} == {2}
    method.detach()


def test_learning_rates_by_part(model):
    made = recipe()
    made.train.learning_rate, made.train.text_encoder_learning_rate = 1e-3, 2e-4
    with Attached(model, made) as method:
        assert [(group.name, group.learning_rate) for group in method.groups()] == [
            ("unet", 1e-3),
            ("text_encoder", 2e-4),
        ]
        made.train.text_encoder_learning_rate = 0.0
        assert [group.learning_rate for group in method.groups()] == [1e-3, 1e-3]
        count = sum(len(group.parameters) for group in method.groups())
        assert count == 2 * len(method.adapters.layers) == len(method.state())


def first_weights(model: Model, made: Recipe) -> dict[str, torch.Tensor]:
    method = LoraMethod()
    method.attach(model, made)
    try:
        return {name: down.detach().clone() for name, (down, _) in method.adapters.weights().items()}
    finally:
        method.detach()


def test_first_weights_come_from_seed_and_name_alone(model):
    torch.manual_seed(1)
    one = first_weights(model, recipe())
    state = torch.get_rng_state()
    torch.manual_seed(2)
    two = first_weights(model, recipe(layers="all"))
    assert all(torch.equal(two[name], down) for name, down in one.items()) and len(two) > len(one)
    other = recipe()
    other.train.seed = 2
    assert not any(torch.equal(down, one[name]) for name, down in first_weights(model, other).items())
    assert len({float(down.flatten()[0]) for down in two.values()}) == len(two)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)
    for down in two.values():
        bound = 1 / math.sqrt(down[0].numel())
        assert 0.8 * bound < float(down.abs().max()) <= bound and abs(float(down.mean())) < 0.25 * bound


def test_reading_a_file_leaves_global_randomness_alone(model, tmp_path):
    saved(model, recipe(), tmp_path / "a.safetensors")
    state = torch.get_rng_state()
    with applied([(tmp_path / "a.safetensors", 1.0)], model):
        answer(model)
    assert torch.equal(torch.get_rng_state(), state)


def test_first_weights_over_half_precision_are_those_over_full():
    one, two = build(), build()
    for part in two.modules:
        for owner in part.modules():
            for name, parameter in owner._parameters.items():
                if parameter is not None:
                    owner._parameters[name] = torch.nn.Parameter(parameter.detach().half(), requires_grad=False)
    halves = first_weights(two, recipe())
    assert all(torch.equal(halves[name], down) for name, down in first_weights(one, recipe()).items())


def test_dropout_works_in_training_only(model):
    with Attached(model, recipe(dropout=0.5)) as method:
        assert method.uses_global_rng
        assert torch.equal(answer(model), answer(model))
        model.unet.train()
        assert not torch.equal(answer(model), answer(model))
        model.unet.eval()
    with Attached(model, recipe()) as method:
        assert not method.uses_global_rng
        model.unet.train()
        assert torch.equal(answer(model), answer(model))
    assert not any(part.training for part in model.unet.modules())


def test_the_forward_pass_has_nothing_but_layers_of_pefts_kind_in_it(model):
    from peft.tuners.lora import LoraLayer

    with Attached(model, recipe(layers="all")):
        for root in model.modules:
            for part in root.modules():
                assert "forward" not in vars(part) and not part._forward_hooks and not part._forward_pre_hooks
        assert sum(isinstance(part, LoraLayer) for part in model.unet.modules()) > 50


def test_state_goes_round_exactly_and_others_are_refused(model):
    with Attached(model, recipe(layers="all")) as method:
        kept = {name: tensor.clone() for name, tensor in method.state().items()}
        expected = answer(model)
    method = LoraMethod()
    method.attach(model, recipe(layers="all"))
    method.load_state(kept)
    assert torch.equal(answer(model), expected)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in method.state().items())
    name = next(iter(kept))
    for wrong in (
        {**kept, "more": torch.ones(1)},
        {**kept, name: torch.ones(1, 1)},
        {key: value for key, value in kept.items() if key != name},
    ):
        with pytest.raises(MethodError, match="another run"):
            method.load_state(wrong)
    assert torch.equal(answer(model), expected)
    method.detach()


@pytest.mark.parametrize("rslora", [False, True])
def test_continuing_starts_where_the_file_ends(model, tmp_path, rslora):
    path = tmp_path / "a.safetensors"
    made, plain = recipe(rank=3, alpha=6.0, rslora=rslora), answer(model)
    expected = saved(model, made, path)
    made.method.lora.continue_from = str(path)
    method = LoraMethod()
    method.attach(model, made)
    assert near(answer(model), expected, plain) and method.notes == []
    method.save(tmp_path / "b.safetensors", {}, "fp32")
    method.detach()
    with applied([(tmp_path / "b.safetensors", 1.0)], model):
        assert near(answer(model), expected, plain)


def test_continuing_says_where_the_file_differs_from_the_recipe(model, tmp_path):
    saved(model, recipe(rank=3), tmp_path / "a.safetensors")
    made = recipe(rank=4, layers="all", dropout=0.25, continue_from=str(tmp_path / "a.safetensors"))
    with Attached(model, made) as method:
        assert {shape.dropout for shape in method.adapters.shapes.values()} == {0.25}
        assert "a.safetensors" in method.notes[0] and "rank 3" in method.notes[0]
        ranks = {shape.rank for shape in method.adapters.shapes.values()}
        assert ranks == {3, 4}


def test_continuing_passes_over_layers_that_were_never_trained(tmp_path):
    """OpenCLIP's attentions are written whole; a part of zeros must not come back as a layer that can't learn."""
    model, path = build("sd2"), tmp_path / "a.safetensors"
    saved(model, recipe(block_ranks={"q_proj": 0}), path)
    assert len(read(path, model).layers) > len(read(path, model).trained())
    for blocks in ({}, {"q_proj": 0}):
        method = LoraMethod()
        method.attach(model, recipe(continue_from=str(path), block_ranks=blocks))
        assert all(down.any() for down, _ in method.adapters.weights().values())
        assert (TEXT in method.adapters.layers) is not bool(blocks)
        method.detach()


def test_a_file_of_another_size_is_refused_and_the_model_is_unchanged(model, tmp_path):
    wide = build(cross_attention_dim=64, block_out_channels=(32, 64, 96))
    path = tmp_path / "wide.safetensors"
    saved(wide, recipe(), path)
    with pytest.raises(LoraFileError, match=r"wide\.safetensors was made for another kind of model"):
        LoraMethod().attach(model, recipe(continue_from=str(path)))
    with pytest.raises(LoraFileError, match="other sizes"), applied([(path, 1.0)], model):
        pass


def test_several_files_add_up_and_all_come_out_again(model, tmp_path):
    plain, made = answer(model), recipe(layers="all")
    saved(model, recipe(), tmp_path / "a.safetensors")
    made.method.text_encoder = False
    saved(model, made, tmp_path / "b.safetensors")
    homes, merged = (
        dict(wrappable(wanted := build())),
        [(tmp_path / "a.safetensors", 0.5), (tmp_path / "b.safetensors", 2.0)],
    )
    with torch.no_grad():
        for path, weight in merged:
            for name, layer in read(path, model).layers.items():
                change = (layer.up.flatten(1) @ layer.down.flatten(1)) * weight * layer.alpha / layer.rank
                homes[name].weight += change.reshape(homes[name].weight.shape)
    with applied(merged, model):
        assert near(answer(model), answer(wanted), plain)
    assert torch.equal(answer(model), plain)


def test_the_second_file_failing_takes_out_the_first(model, tmp_path):
    saved(model, recipe(), tmp_path / "a.safetensors")
    files = [(tmp_path / "a.safetensors", 1.0), (tmp_path / "none.safetensors", 1.0)]
    with pytest.raises(LoraFileError, match="doesn't exist"), applied(files, model):
        pass


def test_adapters_that_fail_half_way_leave_nothing(model):
    name = next(name for name, _ in wrappable(model))
    with pytest.raises(AttributeError):
        Adapters(model, {name: AdapterConfig(2, 2.0), "unet.no.such.layer": AdapterConfig(2, 2.0)})


def test_a_file_is_applied_over_one_in_training(model, tmp_path):
    """Convolutions too: what is wrapped twice is still what it is."""
    path, made = tmp_path / "a.safetensors", recipe(layers="all")
    with Attached(model, made) as method:
        method.save(path, {}, "fp32")
        once, before = answer(model), [parameter.requires_grad for parameter in model.unet.parameters()]
        with applied([(path, -1.0)], model):
            assert not any(parameter.requires_grad for parameter in model.unet.parameters())
            none = answer(model)
        assert torch.equal(answer(model), once)
        assert [parameter.requires_grad for parameter in model.unet.parameters()] == before
    assert near(none, answer(model), once)


@pytest.mark.parametrize(
    ("lora", "expected"),
    [
        ({}, ("4", "4", {})),
        ({"alpha": 2.0, "rslora": True}, ("4", "4", {"rs_lora": "alpha is multiplied by the root of the rank"})),
        ({"layers": "all", "conv_rank": 2, "conv_alpha": 1.0}, ("4", "4", {"conv_dim": "2", "conv_alpha": "1"})),
        ({"block_ranks": {"mid_block": 2}}, ("Dynamic", "Dynamic", {})),
    ],
)
def test_the_file_tells_what_was_built(model, tmp_path, lora, expected):
    saved(model, recipe(**lora), tmp_path / "a.safetensors")
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        found = file.metadata()
    assert (found["ss_network_dim"], found["ss_network_alpha"], json.loads(found["ss_network_args"])) == expected
    assert found["ss_network_module"] == "networks.lora" and found["ss_seed"] == "1"


def test_half_precision_saves_answer_nearly_the_same(model, tmp_path):
    expected = saved(model, recipe(layers="all"), tmp_path / "a.safetensors", "fp16")
    with applied([(tmp_path / "a.safetensors", 1.0)], model):
        found = answer(model)
    assert near(found, expected, answer(model), 0.02)


@pytest.mark.parametrize("lora", [{"layers": "all"}, {"rslora": True}, {"block_ranks": {"mid_block": 2}}])
def test_the_effect_is_the_sum_that_a_merged_weight_has(model, tmp_path, lora):
    """As the WebUI applies it: W + up·down·alpha/rank, convolutions included."""
    path = tmp_path / "a.safetensors"
    expected = saved(model, recipe(**lora), path)
    merged = build()
    homes = dict(wrappable(merged))
    with torch.no_grad():
        for name, layer in read(path, model).layers.items():
            weight = homes[name].weight
            weight += (layer.up.flatten(1) @ layer.down.flatten(1)).reshape(weight.shape) * layer.alpha / layer.rank
    assert near(answer(merged), expected, answer(model))
