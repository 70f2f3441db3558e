"""Files of LoRA's family: saved, read back, continued, and read as the WebUI reads them."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from sdft_ext.formats import kohya
from sdft_ext.method import METHODS
from sdft_ext.method.adapters import wrappable
from sdft_ext.method.base import MethodError
from sdft_ext.method.lora import applied, read
from sdft_ext.method.weight_deltas import effective_weight
from sdft_ext.model import text
from sdft_ext.model.base import predict
from tests.method.adapted import (
    IDS,
    KERNEL,
    KINDS,
    LINEAR,
    NOISE,
    TIMES,
    Attached,
    answer,
    build,
    by_the_webui,
    near,
    raw,
    recipe,
    saved,
)
from tests.model import ldm


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_one_changes_nothing_and_only_it_trains(model, kind):
    before = answer(model)
    method = METHODS[kind]()
    method.attach(model, recipe(kind))
    try:
        assert torch.equal(answer(model), before)
        trained = {id(p) for group in method.groups() for p in group.parameters}
        assert {id(p) for root in model.modules for p in root.parameters() if p.requires_grad} == trained
        assert all(p.dtype == torch.float32 for group in method.groups() for p in group.parameters)
        predict(model, NOISE, TIMES, text.encode(model, ["a", "b"]), IDS).square().sum().backward()
        moved = [p for group in method.groups() for p in group.parameters if p.grad is not None and p.grad.any()]
        assert moved, "something learns from the first step on"
    finally:
        method.detach()


@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_file_read_back_answers_as_in_memory(name, kind, tmp_path):
    model, path = build(name), tmp_path / "x.safetensors"
    before, trained = answer(model), saved(model, recipe(kind), path)
    with applied([(path, 1.0)], model):
        assert near(answer(model), trained, before)
    with applied([(path, 0.0)], model):
        assert torch.allclose(answer(model), before, atol=1e-6)
    assert torch.equal(answer(model), before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rslora", [False, True])
def test_rank_stabilized_strength_survives_the_file(model, kind, rslora, tmp_path):
    before, trained = answer(model), saved(model, recipe(kind, rslora=rslora), tmp_path / "x.safetensors")
    with applied([(tmp_path / "x.safetensors", 1.0)], model):
        assert near(answer(model), trained, before)


@pytest.mark.parametrize("layer", [LINEAR, KERNEL, "unet.mid_block.attentions.0.transformer_blocks.0.ff.net.2"])
@pytest.mark.parametrize("rank", [2, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_the_webui_reads_the_change_that_was_trained(model, kind, rank, layer, tmp_path):
    """Rank 16 makes LoKr's matrices whole: there the WebUI takes the strength for 1."""
    path = tmp_path / "x.safetensors"
    with Attached(model, recipe(kind, rank=rank, alpha=0.7 * rank)) as method:
        method.save(path, {}, "fp32")
        wanted = method.adapters.layers[layer].delta().detach()
        weight = dict(wrappable(model))[layer].weight
        found = raw(path, layer)
        assert ("lokr_w2" in found) == (kind == "lokr" and rank == 16)
        assert torch.allclose(by_the_webui(found, weight), wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def test_dora_keeps_one_length_for_each_input_in_float32(model, tmp_path):
    saved(model, recipe("dora"), tmp_path / "x.safetensors", "fp16")
    for layer, shape in ((LINEAR, (1, 64, 1, 1)), (KERNEL, (1, 64, 1, 1))):
        scale = raw(tmp_path / "x.safetensors", layer)["dora_scale"]
        assert scale.shape == shape and scale.dtype == torch.float32
    query = raw(tmp_path / "x.safetensors", "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q")
    assert query["dora_scale"].shape == (1, 64)


@pytest.mark.parametrize("kind", KINDS)
def test_continuing_starts_at_the_file_and_takes_its_rank(model, kind, tmp_path):
    path = tmp_path / "first.safetensors"
    before, trained = answer(model), saved(model, recipe(kind, rank=2, alpha=4.0), path)
    method = METHODS[kind]()
    method.attach(model, recipe(kind, rank=8, alpha=1.0, continue_from=str(path)))
    try:
        assert near(answer(model), trained, before)
        assert method.adapters.shapes[KERNEL].rank == 2 and any("rank 2" in note for note in method.notes)
        method.save(tmp_path / "second.safetensors", {}, "fp32")
    finally:
        method.detach()
    with applied([(tmp_path / "second.safetensors", 1.0)], model):
        assert near(answer(model), trained, before)


def test_whole_matrices_say_nothing_about_ranks(model, tmp_path):
    path = tmp_path / "x.safetensors"
    made = recipe("lokr", rank=16, alpha=16.0, layers="attention")
    saved(model, made, path)
    made.method.lora.continue_from, method = str(path), METHODS["lokr"]()
    made.save.precision = "fp32"
    method.attach(model, made)
    method.detach()
    assert method.notes == []


@pytest.mark.parametrize(("kind", "noted"), [("lora", False), ("dora", False), ("loha", True), ("lokr", True)])
def test_halves_that_a_webui_without_gpu_leaves_out_are_noted(model, kind, noted):
    for precision in ("fp32", "bf16", "fp16"):
        made, method = recipe(kind), METHODS[kind]()
        made.save.precision = precision
        method.attach(model, made)
        method.detach()
        assert any("save.precision" in note for note in method.notes) == (noted and precision == "fp16")


def test_a_dora_may_begin_as_a_lora(model, tmp_path):
    path = tmp_path / "lora.safetensors"
    before, trained = answer(model), saved(model, recipe("lora"), path)
    method = METHODS["dora"]()
    method.attach(model, recipe("dora", continue_from=str(path)))
    try:
        assert near(answer(model), trained, before)
        assert "dora_scale" in method.adapters.tensors()[LINEAR]
    finally:
        method.detach()


@pytest.mark.parametrize(("of", "by"), [("loha", "lora"), ("dora", "lora"), ("lora", "loha"), ("loha", "lokr")])
def test_another_kinds_file_is_refused_by_name(model, of, by, tmp_path):
    path = tmp_path / "x.safetensors"
    saved(model, recipe(of), path)
    before = answer(model)
    with pytest.raises(MethodError, match=rf"x\.safetensors.*method\.name to {of}"):
        METHODS[by]().attach(model, recipe(by, continue_from=str(path)))
    assert torch.equal(answer(model), before)


def others(weight):
    """Forms that LyCORIS writes and we don't: Tucker's, both of LoKr's matrices in factors, DoRA over LoHa, no
    alpha.
    """
    draws = torch.Generator().manual_seed(4)

    def drawn(*size):
        return torch.randn(size, generator=draws) * 0.3

    out, inputs, *kernel = weight.shape
    (o1, o2), (i1, i2), r = (4, out // 4), (8, inputs // 8), 2
    loha = {
        "hada_w1_a": drawn(r, out), "hada_w1_b": drawn(r, inputs), "hada_t1": drawn(r, r, *kernel),
        "hada_w2_a": drawn(r, out), "hada_w2_b": drawn(r, inputs), "hada_t2": drawn(r, r, *kernel),
    }  # fmt: skip
    first, second = (
        torch.einsum("ijxy,io,jn->onxy", loha[f"hada_t{n}"], loha[f"hada_w{n}_a"], loha[f"hada_w{n}_b"]) for n in (1, 2)
    )
    yield "loha", loha, first * second
    a, b, c, d = drawn(o1, 3), drawn(3, i1), drawn(o2, r), drawn(r, i2 * math.prod(kernel))
    w2 = (c @ d).reshape(o2, i2, *kernel)
    yield (
        "lokr",
        {"lokr_w1_a": a, "lokr_w1_b": b, "lokr_w2_a": c, "lokr_w2_b": d},
        torch.einsum("ab,cdxy->acbdxy", a @ b, w2).reshape(weight.shape),
    )
    a, t, c, d = drawn(o1, i1), drawn(r, r, *kernel), drawn(r, o2), drawn(r, i2)
    w2 = torch.einsum("ijxy,io,jn->onxy", t, c, d)
    yield (
        "lokr",
        {"lokr_w1": a, "lokr_t2": t, "lokr_w2_a": c, "lokr_w2_b": d},
        torch.einsum("ab,cdxy->acbdxy", a, w2).reshape(weight.shape),
    )


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("name", [KERNEL, LINEAR])
def test_other_forms_of_lycoris_are_read_continued_and_written(model, number, name, tmp_path):
    weight = dict(wrappable(model))[name].weight
    kind, tensors, wanted = list(others(weight))[number]
    path, root = tmp_path / "x.safetensors", kohya.file_name(name, ldm.family("sd1"))
    save_file({f"{root}.{part}": tensor for part, tensor in tensors.items()}, path)
    with applied([(path, 0.5)], model):
        wrapped = model.unet.get_submodule(name.removeprefix("unet."))
        assert torch.allclose(effective_weight(wrapped), weight + 0.5 * wanted, atol=1e-5)
    method = METHODS[kind]()
    method.attach(model, recipe(kind, continue_from=str(path)))
    try:
        assert torch.allclose(method.adapters.layers[name].delta(), wanted, atol=1e-5)
        assert method.adapters.tensors()[name].keys() == tensors.keys()
        method.save(path, {}, "fp32")
    finally:
        method.detach()
    with applied([(path, 1.0)], model):
        wrapped = model.unet.get_submodule(name.removeprefix("unet."))
        assert torch.allclose(effective_weight(wrapped), weight + wanted, atol=1e-5)


def test_files_one_over_the_other_see_each_others_weight(model, tmp_path):
    """A DoRA's lengths are of the weight that the files before it left, as the WebUI applies them in turn."""
    lora, dora = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    saved(model, recipe("lora"), lora)
    saved(model, recipe("dora"), dora)
    weight = dict(wrappable(model))[KERNEL].weight
    after = weight + by_the_webui(raw(lora, KERNEL), weight) * 0.7
    wanted = after + by_the_webui(raw(dora, KERNEL), after) * 0.4
    with applied([(lora, 0.7), (dora, 0.4)], model):
        module = model.unet.get_submodule(KERNEL.removeprefix("unet."))
        assert torch.allclose(effective_weight(module), wanted, atol=1e-5)
        x = torch.randn(1, 64, 8, 8)
        assert torch.allclose(module(x), functional.conv2d(x, wanted, module.bias, padding=1), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_model_is_refused(model, kind, tmp_path):
    path, root = tmp_path / "x.safetensors", kohya.file_name(LINEAR, ldm.family("sd1"))
    tensors = {
        "dora": {"lora_down.weight": (2, 60), "lora_up.weight": (64, 2), "dora_scale": (1, 60)},
        "loha": {"hada_w1_a": (64, 2), "hada_w1_b": (2, 60), "hada_w2_a": (64, 2), "hada_w2_b": (2, 60)},
        "lokr": {"lokr_w1": (8, 4), "lokr_w2": (8, 8)},
    }[kind]
    save_file({f"{root}.{part}": torch.ones(size) for part, size in tensors.items()}, path)
    with pytest.raises(kohya.LoraFileError, match=r"x\.safetensors was made for another kind of model"):
        read(path, model)


@pytest.mark.parametrize("kind", KINDS)
def test_open_clip_attention_is_written_whole_and_without_effect(kind, tmp_path):
    model, path = build("sd2"), tmp_path / "x.safetensors"
    trained = saved(model, recipe(kind, block_ranks={"q_proj": 0, "out_proj": 0}), path)
    file = read(path, model)
    attention = "text_encoder.text_model.encoder.layers.0.self_attn"
    assert {f"{attention}.{part}_proj" for part in ("q", "k", "v", "out")} <= file.layers.keys()
    assert f"{attention}.q_proj" not in file.trained() and f"{attention}.k_proj" in file.trained()
    before = answer(model)
    with applied([(path, 1.0)], model):
        assert near(answer(model), trained, before)


@pytest.mark.parametrize(
    ("kind", "module", "expected"),
    [
        ("lora", "networks.lora", {}),
        ("dora", "lycoris.kohya", {"algo": "lora", "dora_wd": "True", "wd_on_out": "False"}),
        ("loha", "lycoris.kohya", {"algo": "loha"}),
        ("lokr", "lycoris.kohya", {"algo": "lokr", "factor": "8"}),
    ],
)
def test_metadata_names_the_kind(model, kind, module, expected, tmp_path):
    path = tmp_path / "x.safetensors"
    saved(model, recipe(kind, factor=8, conv_rank=2, norm_cap=1.0), path)
    found = read(path, model).metadata
    arguments = json.loads(found["ss_network_args"])
    assert found["ss_network_module"] == module and expected.items() <= arguments.items()
    assert found["ss_network_dim"] == "3" and arguments["conv_dim"] == "2" and found["ss_scale_weight_norms"] == "1.0"
    # The strength of LoHa and LoKr lies in their matrices.
    assert found["ss_network_alpha"] == ("3" if kind in ("loha", "lokr") else "6")


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_lora_plus_gives_the_up_matrices_a_rate_of_their_own(model, kind):
    made = recipe(kind, up_ratio=16.0)
    made.train.learning_rate, made.train.text_encoder_learning_rate = 1e-4, 5e-5
    with Attached(model, made) as method:
        groups = {group.name: group for group in method.groups()}
        assert {name: group.learning_rate for name, group in groups.items()} == pytest.approx(
            {"unet": 1e-4, "unet_up": 16e-4, "text_encoder": 5e-5, "text_encoder_up": 80e-5}
        )
        ups = {id(up) for _, up in method.adapters.weights().values()}
        assert {id(p) for name, group in groups.items() if name.endswith("_up") for p in group.parameters} == ups
        every = [id(p) for group in groups.values() for p in group.parameters]
        assert len(every) == len(set(every)) == len(method.state())
        assert [group.of_text_encoder for group in groups.values()] == [False, False, True, True]


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_puts_everything_back_and_another_runs_is_refused(model, kind):
    with Attached(model, recipe(kind)) as method:
        kept = {name: tensor.clone() for name, tensor in method.state().items()}
        wanted = answer(model)
    with Attached(model, recipe(kind), spread=0.7) as method:
        assert not torch.equal(answer(model), wanted)
        method.load_state(kept)
        assert torch.equal(answer(model), wanted)
    with Attached(model, recipe(kind, rank=1)) as method, pytest.raises(MethodError, match="another run"):
        method.load_state(kept)
