"""LoRA in a model, in a file, and in other programs."""

import json

import pytest
import torch
from diffusers.utils import USE_PEFT_BACKEND
from safetensors import safe_open

from sdft_ext.formats import kohya, metadata
from sdft_ext.method.adapters import wrappable
from sdft_ext.method.base import MethodError
from sdft_ext.method.lora import LoraMethod, applied
from sdft_ext.model import borrow, text
from sdft_ext.model.base import predict
from sdft_ext.recipe import Recipe
from tests.model import ldm

NOISE, TIMES, IDS = torch.randn(1, 4, 8, 8), torch.tensor([500]), torch.tensor([[64.0, 64, 0, 0, 64, 64]])


@pytest.fixture(params=["sd1", "sd2", "sdxl"])
def model(request):
    family = ldm.family(request.param)
    return borrow.build(family, ldm.state_dict(family))


@pytest.fixture
def sd1():
    family = ldm.family("sd1")
    return borrow.build(family, ldm.state_dict(family))


def recipe(**lora):
    made = Recipe()
    for name, value in {"rank": 4, "alpha": 4.0, **lora}.items():
        setattr(made.method.lora, name, value)
    return made


@torch.no_grad()
def answer(model):
    return predict(model, NOISE, TIMES, text.encode(model, ["a cat"]), IDS)


def attached(model, made, scale=0.05):
    """A method whose up-weights aren't zero, as after training."""
    method = LoraMethod()
    method.attach(model, made)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for _, up in method.adapters.weights().values():
            up.copy_(torch.randn(up.shape, generator=generator) * scale)
    return method


def facts():
    return metadata.RunFacts(None, 1.0, 10, 1, 20, 5, 12, 0, tag_frequency={"d": {"a cat": 3}})


def save(method, path, made, precision="fp32"):
    method.save(path, metadata.lora_metadata(made, method.model.family, facts(), path.stem), precision)
    return path


def test_a_new_lora_changes_nothing_and_detaching_puts_everything_back(model):
    before, modules = answer(model), [id(part) for root in model.modules for part in root.modules()]
    model.unet.conv_in.weight.requires_grad_(True)
    method = LoraMethod()
    method.attach(model, recipe())
    assert torch.equal(answer(model), before)
    trained = {id(p) for group in method.groups() for p in group.parameters}
    assert {id(p) for root in model.modules for p in root.parameters() if p.requires_grad} == trained
    with pytest.raises(RuntimeError):
        method.attach(model, recipe())
    method.detach()
    assert [id(part) for root in model.modules for part in root.modules()] == modules
    assert model.unet.conv_in.weight.requires_grad and not model.unet.conv_out.weight.requires_grad
    assert torch.equal(answer(model), before)


@pytest.mark.parametrize("rslora", [False, True])
def test_a_saved_file_read_back_answers_as_in_memory(model, tmp_path, rslora):
    made = recipe(rslora=rslora)
    before = answer(model)
    method = attached(model, made)
    trained = answer(model)
    path = save(method, tmp_path / "x.safetensors", made)
    method.detach()
    with applied([(path, 1.0)], model):
        assert torch.allclose(answer(model), trained, atol=1e-6)
    with applied([(path, 0.0)], model):
        assert torch.allclose(answer(model), before, atol=1e-6)
    with applied([(path, 0.5), (path, 0.5)], model):
        assert torch.allclose(answer(model), trained, atol=1e-4)
    assert torch.equal(answer(model), before) and not torch.allclose(trained, before, atol=1e-3)


def layer_names(model, made):
    method = LoraMethod()
    method.attach(model, made)
    found = set(method.adapters.layers)
    method.detach()
    return found


def test_layers_grow_from_attention_to_all(sd1):
    attention, linear, everything = (layer_names(sd1, recipe(layers=kind)) for kind in ("attention", "linear", "all"))
    assert attention < linear < everything
    assert all("attn" in name for name in attention)
    assert not any("resnets" in name for name in linear) and any(name.endswith("proj_in") for name in linear)
    assert any("downsamplers" in name for name in everything)
    assert not any(name in everything for name in ("unet.conv_in", "unet.conv_out", "unet.time_embedding.linear_1"))


def test_ranks_by_kind_block_and_part(sd1):
    method = LoraMethod()
    method.attach(sd1, recipe(conv_rank=2, conv_alpha=1.0, text_rank=3, block_ranks={"mid_block": 6, "up_blocks.0": 0}))
    ranks = {name: shape.rank for name, shape in method.adapters.shapes.items()}
    assert (
        ranks["unet.down_blocks.0.resnets.0.conv1"] == 2
        and method.adapters.shapes["unet.down_blocks.0.resnets.0.conv1"].alpha == 1
    )
    assert ranks["unet.down_blocks.0.attentions.0.proj_in"] == 4
    assert {rank for name, rank in ranks.items() if "mid_block" in name} == {6}
    assert not any("up_blocks.0" in name for name in ranks)
    assert {rank for name, rank in ranks.items() if name.startswith("text")} == {3}
    method.detach()


def test_parts_can_be_left_out(sd1):
    made = recipe()
    made.method.text_encoder = False
    assert all(name.startswith("unet.") for name in layer_names(sd1, made))
    made.method.unet, made.method.text_encoder = False, True
    assert all(name.startswith("text_encoder.") for name in layer_names(sd1, made))
    made.method.lora.block_ranks = {"text_encoder": 0}
    with pytest.raises(MethodError, match="Nothing is left to train"):
        LoraMethod().attach(sd1, made)


def test_a_rank_too_large_is_lowered_and_noted(sd1):
    method = LoraMethod()
    method.attach(sd1, recipe(rank=512))
    assert method.adapters.shapes["unet.down_blocks.0.attentions.0.proj_in"].rank == 32
    assert "more than" in method.notes[0]
    method.detach()


def test_continuing_starts_at_the_file_and_takes_its_rank(sd1, tmp_path):
    first = recipe(rank=3, alpha=6.0)
    method = attached(sd1, first)
    trained = answer(sd1)
    path = save(method, tmp_path / "first.safetensors", first)
    method.detach()
    method = LoraMethod()
    method.attach(sd1, recipe(rank=16, continue_from=str(path)))
    assert torch.allclose(answer(sd1), trained, atol=1e-6)
    assert {shape.rank for shape in method.adapters.shapes.values()} == {3}
    method.detach()
    with pytest.raises(MethodError, match="doesn't train"):
        LoraMethod().attach(sd1, recipe(layers="attention", continue_from=str(path)))


def test_a_file_of_another_model_is_refused(sd1, tmp_path):
    family = ldm.family("sdxl")
    other = borrow.build(family, ldm.state_dict(family))
    method = attached(other, recipe())
    path = save(method, tmp_path / "xl.safetensors", recipe())
    known = kohya.known_names([name for name, _ in wrappable(sd1)], sd1.family)
    with pytest.raises(kohya.LoraFileError, match="another kind of model"):
        kohya.read(path, known)
    (tmp_path / "no.safetensors").write_bytes(b"no")
    with pytest.raises(kohya.LoraFileError, match="cut off"):
        kohya.read(tmp_path / "no.safetensors", known)


def test_open_clip_attention_is_written_whole(tmp_path):
    family = ldm.family("sd2")
    model = borrow.build(family, ldm.state_dict(family))
    made = recipe(block_ranks={"q_proj": 0, "out_proj": 0})
    path = save(attached(model, made), tmp_path / "x.safetensors", made)
    with safe_open(path, "pt") as file:
        keys = set(file.keys())
        for part in ("q", "k", "v", "out"):
            assert f"lora_te_text_model_encoder_layers_0_self_attn_{part}_proj.lora_up.weight" in keys
        assert file.get_tensor("lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight").abs().sum() == 0


def webui_name(key):
    """The WebUI's rule (HOST: SD 1 names in diffusers' style become LDM's): blocks of three, two residual blocks
    each.
    """
    import re

    kinds = {
        "resnets": {
            "conv1": "in_layers_2",
            "conv2": "out_layers_3",
            "time_emb_proj": "emb_layers_1",
            "conv_shortcut": "skip_connection",
        },
    }
    if match := re.fullmatch(r"lora_unet_down_blocks_(\d+)_(attentions|resnets)_(\d+)_(.+)", key):
        a, kind, c, rest = match.groups()
        return f"input_blocks_{1 + int(a) * 3 + int(c)}_{1 if kind == 'attentions' else 0}_{kinds.get(kind, {}).get(rest, rest)}"  # noqa: E501
    if match := re.fullmatch(r"lora_unet_mid_block_(attentions|resnets)_(\d+)_(.+)", key):
        kind, b, rest = match.groups()
        return f"middle_block_{1 if kind == 'attentions' else int(b) * 2}_{kinds.get(kind, {}).get(rest, rest)}"
    if match := re.fullmatch(r"lora_unet_up_blocks_(\d+)_(attentions|resnets)_(\d+)_(.+)", key):
        a, kind, c, rest = match.groups()
        return f"output_blocks_{int(a) * 3 + int(c)}_{1 if kind == 'attentions' else 0}_{kinds.get(kind, {}).get(rest, rest)}"  # noqa: E501
    if match := re.fullmatch(r"lora_unet_down_blocks_(\d+)_downsamplers_0_conv", key):
        return f"input_blocks_{3 + int(match[1]) * 3}_0_op"
    if match := re.fullmatch(r"lora_unet_up_blocks_(\d+)_upsamplers_0_conv", key):
        return f"output_blocks_{2 + int(match[1]) * 3}_{2 if int(match[1]) > 0 else 1}_conv"
    return key


def test_every_saved_unet_layer_is_one_that_the_webui_finds(tmp_path, sd1):
    path = save(attached(sd1, recipe()), tmp_path / "x.safetensors", recipe())
    ldm_layers = {
        k[len("model.diffusion_model.") :].rpartition(".")[0].replace(".", "_")
        for k in ldm.state_dict(ldm.family("sd1"))
    }
    with safe_open(path, "pt") as file:
        roots = {key.partition(".")[0] for key in file.keys() if key.startswith("lora_unet")}  # noqa: SIM118
    assert roots and all(webui_name(root) in ldm_layers for root in roots)


def test_sdxl_is_written_in_ldm_names(tmp_path):
    family = ldm.family("sdxl")
    tensors = ldm.state_dict(family)
    path = save(attached(borrow.build(family, tensors), recipe()), tmp_path / "x.safetensors", recipe())
    layers = {k[len("model.diffusion_model.") :].rpartition(".")[0].replace(".", "_") for k in tensors}
    with safe_open(path, "pt") as file:
        keys = list(file.keys())
    assert any(key.startswith("lora_te1_") for key in keys) and any(key.startswith("lora_te2_") for key in keys)
    roots = {key.partition(".")[0] for key in keys if key.startswith("lora_unet_")}
    assert roots and all(root.removeprefix("lora_unet_") in layers for root in roots)


def test_metadata_says_what_programs_ask(tmp_path, sd1):
    made = recipe()
    made.dataset.concepts[0].trigger = "0123"
    path = save(attached(sd1, made), tmp_path / "cat-000010.safetensors", made, "fp16")
    with safe_open(path, "pt") as file:
        found = file.metadata()
        weights = [key for key in file.keys() if "lora_" in key.partition(".")[2]]  # noqa: SIM118 (no mapping)
        assert {file.get_tensor(key).dtype for key in weights} == {torch.float16}
    assert found["ss_output_name"] == "cat-000010" and found["ss_base_model_version"] == "sd_v1"
    assert found["ss_network_module"] == "networks.lora" and found["ss_network_dim"] == "4"
    assert json.loads(found["ss_tag_frequency"]) == {"d": {"a cat": 3}}
    assert found["modelspec.architecture"] == "stable-diffusion-v1/lora" and found["modelspec.trigger_phrase"] == "0123"
    import hashlib

    data = path.read_bytes()
    body = data[8 + int.from_bytes(data[:8], "little") :]
    assert found["sshs_model_hash"] == hashlib.sha256(body).hexdigest()
    made.save.private = True
    quiet = metadata.lora_metadata(made, sd1.family, facts(), "x")
    assert "ss_tag_frequency" not in quiet and "0123" not in json.dumps(quiet)


def test_adapters_stay_float32_over_a_half_precision_base(sd1):
    for module in sd1.modules:
        for owner in module.modules():
            for name, parameter in list(owner._parameters.items()):
                if parameter is not None:
                    owner._parameters[name] = torch.nn.Parameter(parameter.detach().bfloat16(), requires_grad=False)
    method = attached(sd1, recipe())
    assert {p.dtype for group in method.groups() for p in group.parameters} == {torch.float32}
    with torch.autocast("cpu", torch.bfloat16):
        predict(sd1, NOISE.bfloat16(), TIMES, text.encode(sd1, ["a cat"])).float().sum().backward()
    assert all(p.grad is not None for group in method.groups() if group.name == "unet" for p in group.parameters)
    method.detach()


def test_peft_style_names_are_read(tmp_path, sd1):
    from safetensors.torch import load_file, save_file

    method = attached(sd1, recipe(layers="attention"))
    trained = answer(sd1)
    tensors = {}
    for name, (down, up) in method.adapters.weights().items():
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = down.detach().clone(), up.detach().clone()
    method.detach()
    save_file(tensors, tmp_path / "peft.safetensors")
    assert load_file(tmp_path / "peft.safetensors")
    with applied([(tmp_path / "peft.safetensors", 1.0)], sd1):
        assert torch.allclose(answer(sd1), trained, atol=1e-6)


@pytest.mark.skipif(
    not USE_PEFT_BACKEND,
    reason="diffusers loads LoRAs only beside transformers 4.34 or newer (Forge's); CI runs this there",
)
@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_diffusers_reads_the_file_and_answers_the_same(tmp_path, name):
    """Its own ``load_lora_weights``, in a pipeline of the same model."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

    family = ldm.family(name)
    tensors = ldm.state_dict(family)
    model, plain = borrow.build(family, tensors), borrow.build(family, tensors)
    method = attached(model, recipe())
    expected = answer(model)
    path = save(method, tmp_path / "x.safetensors", recipe())
    parts = {
        "unet": plain.unet,
        "vae": plain.vae,
        "text_encoder": plain.text_encoders[0],
        "tokenizer": plain.tokenizers[0],
        "scheduler": DDIMScheduler(),
    }
    if name == "sdxl":
        pipeline = StableDiffusionXLPipeline(
            **parts, text_encoder_2=plain.text_encoders[1], tokenizer_2=plain.tokenizers[1]
        )
    else:
        pipeline = StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name)
    before = answer(borrow.build(family, tensors))
    found = answer(plain)
    assert torch.allclose(found, expected, atol=1e-5) and not torch.allclose(found, before, atol=1e-3)
