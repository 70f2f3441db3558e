"""LoHa, LoKr and DoRA: in a model, in files, and in the words of the programs that read them."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from sdft_ext.formats import kohya
from sdft_ext.formats.lycoris import LycorisLayer
from sdft_ext.method import METHODS
from sdft_ext.method.adapters import AdapterConfig, Adapters, wrappable
from sdft_ext.method.base import MethodError
from sdft_ext.method.lora import applied, read
from sdft_ext.method.sizes import numbers, split
from sdft_ext.method.weight_deltas import DeltaLayer, column_lengths, difference, effective_weight, first_values
from sdft_ext.model import borrow, text
from sdft_ext.model.base import Model, predict
from sdft_ext.recipe import Recipe
from tests.model import ldm

NOISE, TIMES = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500, 20])
IDS = torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 2)
KINDS = ("dora", "loha", "lokr")
LINEAR, KERNEL = "unet.mid_block.attentions.0.proj_in", "unet.mid_block.resnets.0.conv1"


def build(name: str = "sd1") -> Model:
    family = ldm.family(name)
    return borrow.build(family, ldm.state_dict(family))


@pytest.fixture(scope="module")
def lent():
    return build()


@pytest.fixture
def model(lent):
    """A borrowed model that every test must give back as it was."""
    before = [(parameter, parameter.detach().clone()) for part in lent.modules for parameter in part.parameters()]
    modules = [id(part) for root in lent.modules for part in root.modules()]
    yield lent
    assert [id(part) for root in lent.modules for part in root.modules()] == modules
    after = [parameter for part in lent.modules for parameter in part.parameters()]
    assert [id(parameter) for parameter in after] == [id(parameter) for parameter, _ in before]
    assert all(torch.equal(parameter, kept) and not parameter.requires_grad for parameter, kept in before)


def recipe(name: str, **lora: object) -> Recipe:
    made = Recipe()
    made.method.name = name
    for key, value in {"rank": 3, "alpha": 6.0, **lora}.items():
        setattr(made.method.lora, key, value)
    return made


class Attached:
    """A method in a model, every trained value moved at random as training does; taken out at the end."""

    def __init__(self, model: Model, made: Recipe, spread: float = 0.2) -> None:
        self.method, generator = METHODS[made.method.name](), torch.Generator().manual_seed(3)
        self.method.attach(model, made)
        with torch.no_grad():
            for tensor in self.method.state().values():
                tensor.add_(torch.randn(tensor.shape, generator=generator) * spread)

    def __enter__(self):
        return self.method

    def __exit__(self, *_: object) -> None:
        self.method.detach()


@torch.no_grad()
def answer(model: Model) -> torch.Tensor:
    return predict(model, NOISE, TIMES, text.encode(model, ["a cat", "a dog"]), IDS)


def near(found: torch.Tensor, wanted: torch.Tensor, plain: torch.Tensor, share: float = 1e-3) -> bool:
    """Whether two answers differ by a small share of what the file changes at all, which must be something."""
    change = float((wanted - plain).abs().max())
    assert change > 1e-3 * float(plain.abs().max())
    return float((found - wanted).abs().max()) < share * change


def saved(model, made, path, precision="fp32"):
    with Attached(model, made) as method:
        method.save(path, {"ss_seed": "1"}, precision)
        return answer(model)


@pytest.mark.parametrize("kind", ["dora", "loha", "lokr"])
@pytest.mark.parametrize("compute", [torch.float32, torch.bfloat16])
def test_no_second_weight_is_kept_for_the_gradients(kind, compute):
    """The change of weight is as large as the weight: of a large model's, all at once would take gigabytes. And what is computed
    again gives the gradients that plain algebra has, of x too, with rank dropout's draws."""
    torch.manual_seed(0)
    for base, x in (
        (torch.nn.Linear(192, 160), torch.randn(2, 3, 192)),
        (torch.nn.Conv2d(96, 64, 3, stride=2, padding=1), torch.randn(2, 96, 8, 8)),
    ):
        base.requires_grad_(False)
        first = first_values(kind, base, 4, 8, torch.Generator().manual_seed(1))
        values = {name: value + 0.1 * torch.randn(value.shape) for name, value in first.items()}
        layer, x = DeltaLayer(base, values, 0.5, rank_dropout=0.3).train(), x.requires_grad_(True)
        kept: list[int] = []

        def pack(tensor, kept=kept):
            kept.append(tensor.numel())
            return tensor

        with torch.autocast("cpu", compute, enabled=compute != torch.float32):
            torch.manual_seed(5)
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                answer = layer(x)
            # The borrowed layer's own weight is there anyway; autocast copies it.
            assert sum(count >= base.weight.numel() for count in kept) <= 1
            torch.manual_seed(5)
            change = layer.change(kept=layer._drawn())
            if x.ndim == 3:
                plain = base(x) + functional.linear(x, change)
            else:
                plain = base(x) + functional.conv2d(x, change, stride=2, padding=1)
        close = {"rtol": 1e-5, "atol": 1e-5} if compute == torch.float32 else {"rtol": 0.05, "atol": 0.05}
        assert torch.allclose(answer, plain, **close)
        for one, other in zip(
            *(torch.autograd.grad((out.float() ** 2).mean(), [x, *layer.values]) for out in (answer, plain)),
            strict=True,
        ):
            assert one.dtype == other.dtype and near(
                one, other, torch.zeros_like(other), 1e-4 if compute == torch.float32 else 0.05
            )


@pytest.mark.parametrize("kind", ["dora", "loha", "lokr"])
def test_gradients_go_on_through_a_layer_that_does_not_train(kind):
    for base, x in ((torch.nn.Linear(16, 12), torch.randn(3, 16)), (torch.nn.Conv2d(4, 6, 3), torch.randn(2, 4, 8, 8))):
        layer = DeltaLayer(base, first_values(kind, base, 2, 4, torch.Generator().manual_seed(1)), 0.5)
        layer.requires_grad_(False)
        layer(x.requires_grad_(True)).sum().backward()
        assert x.grad is not None and x.grad.abs().sum() > 0


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


def raw(path, name):
    """One layer's tensors as they lie in a file."""
    root = kohya.file_name(name, ldm.family("sd1"))
    return {k.removeprefix(f"{root}."): v for k, v in load_file(path).items() if k.startswith(f"{root}.")}


def by_the_webui(found, weight):
    """The WebUI's words (network_hada, network_lokr, network_lora and finalize_updown in 1.10) for one layer."""
    if "hada_w1_a" in found:
        dim = found["hada_w1_b"].shape[0]
        change = (found["hada_w1_a"] @ found["hada_w1_b"]) * (found["hada_w2_a"] @ found["hada_w2_b"])
    elif "lokr_w1" in found:
        dim = found["lokr_w2_b"].shape[0] if "lokr_w2_b" in found else None
        w1, w2 = found["lokr_w1"], found.get("lokr_w2")
        w2 = found["lokr_w2_a"] @ found["lokr_w2_b"] if w2 is None else w2
        change = torch.kron(w1.unsqueeze(2).unsqueeze(2) if w2.ndim == 4 else w1, w2.contiguous())
    else:
        dim = found["lora_down.weight"].shape[0]
        up, down = (found[f"lora_{side}.weight"] for side in ("up", "down"))
        change = up.reshape(up.size(0), -1) @ down.reshape(down.size(0), -1)
    change = change.reshape(weight.shape) * (float(found["alpha"]) / dim if dim else 1.0)
    if "dora_scale" in found:
        merged = change + weight
        norm = merged.transpose(0, 1).reshape(merged.shape[1], -1).norm(dim=1, keepdim=True)
        norm = norm.reshape(merged.shape[1], *[1] * (weight.ndim - 1)).transpose(0, 1)
        change = merged * (found["dora_scale"] / norm) - weight
    return change


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


def test_dora_gives_the_changed_weight_its_lengths(model):
    with Attached(model, recipe("dora")) as method:
        for name in (LINEAR, KERNEL):
            layer = method.adapters.layers[name]
            lengths = column_lengths(effective_weight(layer))
            assert torch.allclose(lengths, layer.tensors()["dora_scale"].detach().abs(), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", [LINEAR, KERNEL])
def test_a_layer_is_its_changed_weight(model, kind, layer):
    """Forward, and the gradients of every trained tensor, against torch's own of the plain formula in float64."""
    with Attached(model, recipe(kind)) as method:
        module = method.adapters.layers[layer]
        x = torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(1))
        probe = torch.randn(module(x).shape, generator=torch.Generator().manual_seed(2))
        (module(x) * probe).sum().backward()
        tensors = {name: tensor.detach().double().requires_grad_() for name, tensor in module.tensors().items()}
        base = module.base_layer
        weight = base.weight.double()
        change = formula(tensors, weight.shape) * module.scale
        if "dora_scale" in tensors:
            lengths = (weight + change).detach().square().sum([0, 2, 3], keepdim=True).sqrt()
            change = (weight + change) * tensors["dora_scale"] / lengths - weight
        wanted = functional.conv2d(x.double(), weight + change, base.bias.double(), base.stride, base.padding)
        assert torch.allclose(module(x).double(), wanted, rtol=1e-4, atol=1e-4)
        (wanted * probe).sum().backward()
        for name, tensor in module.tensors().items():
            largest = float(tensors[name].grad.abs().max())
            assert torch.allclose(tensor.grad.double(), tensors[name].grad, rtol=1e-3, atol=1e-4 * largest), name


def formula(tensors, shape):
    if "hada_w1_a" in tensors:
        first, second = (tensors[f"hada_w{n}_a"] @ tensors[f"hada_w{n}_b"] for n in (1, 2))
        return (first * second).reshape(shape)
    if "lokr_w1" in tensors:
        w2 = tensors["lokr_w2"] if "lokr_w2" in tensors else tensors["lokr_w2_a"] @ tensors["lokr_w2_b"]
        w1, w2 = tensors["lokr_w1"], w2.reshape(w2.shape[0], -1, *shape[2:])
        return torch.einsum("ab,cdxy->acbdxy", w1, w2).reshape(shape)
    return torch.einsum("or,rixy->oixy", tensors["lora_up.weight"].flatten(1), tensors["lora_down.weight"])


@pytest.mark.parametrize("kind", KINDS)
def test_over_a_half_precision_base_small_changes_count(kind):
    """The change acts beside the weight: added to a bfloat16 weight of 1, one of 0.001 would be rounded away."""
    base = torch.nn.Linear(64, 48, bias=False).to(torch.bfloat16).requires_grad_(False)
    base.weight.fill_(1.0)
    draws = torch.Generator().manual_seed(1)
    first = first_values(kind, base, 4, 0, draws)
    moved = {name: tensor + 1e-3 * torch.randn(tensor.shape, generator=draws) for name, tensor in first.items()}
    layer = DeltaLayer(base, moved, 1.0)
    half = torch.randint(-8, 9, (200, 32), generator=draws).bfloat16()
    x = torch.cat([half, -half], 1)  # what the base makes 0 of
    assert not base(x).any()
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    wanted = x.float() @ layer.delta().detach().T
    assert found.dtype == torch.bfloat16 and float(layer.delta().detach().abs().max()) < 2e-2
    assert float((found.detach().float() - wanted).norm()) < 0.02 * float(wanted.norm())


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


def test_whole_matrices_are_no_news_about_ranks(model, tmp_path):
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
    """Forms that LyCORIS writes and we don't: Tucker's, both of LoKr's matrices in factors, DoRA over LoHa, no alpha."""
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
        "loha": {"hada_w1_a": (64, 2), "hada_w1_b": (2, 64), "hada_w2_a": (64, 3), "hada_w2_b": (2, 64)},
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
    ("kind", "module", "told"),
    [
        ("lora", "networks.lora", {}),
        ("dora", "lycoris.kohya", {"algo": "lora", "dora_wd": "True", "wd_on_out": "False"}),
        ("loha", "lycoris.kohya", {"algo": "loha"}),
        ("lokr", "lycoris.kohya", {"algo": "lokr", "factor": "8"}),
    ],
)
def test_metadata_names_the_kind(model, kind, module, told, tmp_path):
    path = tmp_path / "x.safetensors"
    saved(model, recipe(kind, factor=8, conv_rank=2, norm_cap=1.0), path)
    found = read(path, model).metadata
    arguments = json.loads(found["ss_network_args"])
    assert found["ss_network_module"] == module and told.items() <= arguments.items()
    assert found["ss_network_dim"] == "3" and arguments["conv_dim"] == "2" and found["ss_scale_weight_norms"] == "1.0"
    # The strength of LoHa and LoKr lies in their matrices.
    assert found["ss_network_alpha"] == ("3" if kind in ("loha", "lokr") else "6")


@pytest.mark.parametrize("factor", [0, 4, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_counts_what_is_trained(model, kind, factor):
    with Attached(model, recipe(kind, factor=factor)) as method:
        for name, tensors in method.adapters.tensors().items():
            shape = tuple(method.adapters.weight_shapes()[name])
            rank = method.adapters.shapes[name].rank
            assert sum(tensor.numel() for tensor in tensors.values()) == numbers(kind, shape, rank, factor), name


def test_sides_are_split_as_peft_and_lycoris_split_them():
    from peft.tuners.lokr.layer import factorization

    for side in [*range(1, 200), 320, 640, 768, 1280, 2048, 5120, 10240]:
        for factor in (0, 1, 2, 3, 4, 8, 12, 16, 40, 1024):
            assert split(side, factor) == tuple(sorted(factorization(side, factor or -1))), (side, factor)


def test_the_factor_splits_the_sides(model):
    with Attached(model, recipe("lokr", factor=4)) as method:
        assert method.adapters.tensors()[KERNEL]["lokr_w1"].shape == (4, 4)
    with Attached(model, recipe("lokr")) as method:
        assert method.adapters.tensors()[KERNEL]["lokr_w1"].shape == (8, 8)


@pytest.mark.parametrize("kind", ["lora", *KINDS])
def test_the_cap_shrinks_what_is_too_long_and_nothing_else(model, kind):
    with Attached(model, recipe(kind)) as method:
        adapters = method.adapters
        shapes = adapters.weight_shapes()

        @torch.no_grad()
        def lengths():
            return {
                name: float(difference(own, torch.Size(shapes[name])).norm()) * adapters.shapes[name].scale
                for name, own in adapters.tensors().items()
            }

        before = lengths()
        cap = sorted(before.values())[len(before) // 2]
        magnitudes = {n: own["dora_scale"].clone() for n, own in adapters.tensors().items() if "dora_scale" in own}
        kept = {name: [t.clone() for t in own.values()] for name, own in adapters.tensors().items()}
        method.recipe.method.lora.norm_cap = cap
        method.after_step()
        for name, length in lengths().items():
            assert length == pytest.approx(min(before[name], cap), rel=1e-3)
            if before[name] < cap * 0.999:
                now = adapters.tensors()[name].values()
                assert all(torch.equal(a, b) for a, b in zip(kept[name], now, strict=True))
        for name, magnitude in magnitudes.items():
            assert torch.equal(adapters.tensors()[name]["dora_scale"], magnitude)


@pytest.mark.parametrize("kind", ["lora", *KINDS])
def test_a_cap_that_no_layer_reaches_writes_nothing(model, kind):
    """Times 1 isn't always 1: cap / cap, or its root, comes out one bit lower on some processors."""
    with Attached(model, recipe(kind, norm_cap=1e9)) as method:
        written = {name: tensor._version for name, tensor in method.state().items()}
        method.after_step()
        assert {name: tensor._version for name, tensor in method.state().items()} == written
        method.recipe.method.lora.norm_cap = 1e-9
        method.after_step()
        assert {name for name, tensor in method.state().items() if tensor._version == written[name]} == {
            name for name in written if name.endswith("dora_scale")
        }


@pytest.mark.parametrize("kind", ["lora", *KINDS])
def test_rank_dropout_leaves_out_in_training_only_and_keeps_the_mean(kind):
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(24, 20).requires_grad_(False))
    model, shape = Model(None, base, base, [], [], None), AdapterConfig(4, 4.0, rank_dropout=0.5, kind=kind)  # type: ignore[arg-type]
    adapters = Adapters(model, {"unet.0": shape})
    with torch.no_grad():
        for name, tensor in adapters.tensors()["unet.0"].items():
            tensor.add_(0.1 * torch.randn(tensor.shape) if name != "dora_scale" else 0)
    x = torch.randn(3, 24)
    base.eval()
    assert torch.equal(base(x), base(x))
    whole = base(x).detach()
    base.train()
    drawn = torch.stack([base(x).detach() for _ in range(2000)])
    assert not torch.equal(drawn[0], drawn[1])
    if kind != "dora":  # whose lengths are no straight line of its ranks
        assert torch.allclose(drawn.mean(0), whole, atol=4 * float(drawn.std(0).max()) / math.sqrt(2000))
    adapters.remove()
    assert isinstance(base[0], torch.nn.Linear)


def test_rank_dropout_of_a_convolution_drops_whole_channels_for_each_picture():
    base = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, bias=False).requires_grad_(False))
    model = Model(None, base, base, [], [], None)  # type: ignore[arg-type]
    adapters = Adapters(model, {"unet.0": AdapterConfig(4, 4.0, rank_dropout=0.5)})
    seen = []
    adapters.layers["unet.0"].lora_B["default"].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    base.train()
    base(torch.randn(8, 3, 6, 6))
    dropped = (seen[0] == 0).flatten(2).all(2)
    assert ((seen[0] == 0).flatten(2).any(2) == dropped).all(), "a channel is dropped whole or not at all"
    assert len({tuple(row.tolist()) for row in dropped}) > 1, "each picture has its own"


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


def test_a_layer_of_a_file_knows_its_rank_and_strength():
    loha = LycorisLayer({"hada_w1_a": torch.ones(6, 2), "hada_w1_b": torch.ones(2, 6)}, 1.0)
    assert loha.rank == 2 and loha.scale == 0.5
    whole = LycorisLayer({"lokr_w1": torch.ones(2, 3), "lokr_w2": torch.ones(4, 5)}, 9.0)
    assert whole.scale == 1.0 and whole.rank == 8 and whole.fits((8, 15)) and not whole.fits((15, 8))
    both = LycorisLayer(
        {"lokr_w1_a": torch.ones(2, 3), "lokr_w1_b": torch.ones(3, 2), "lokr_w2": torch.ones(4, 5)}, 1.5
    )
    assert both.rank == 3 and both.scale == 0.5
