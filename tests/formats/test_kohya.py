"""Names, shapes and refusals of LoRA files."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sdft_ext.formats import kohya, ldm_keys
from sdft_ext.formats.kohya import LoraFileError, LoraLayer
from sdft_ext.method.lora import LoraMethod
from sdft_ext.recipe import Recipe
from tests.formats import true_sizes
from tests.model import ldm

SD1, SDXL = ldm.family("sd1"), ldm.family("sdxl")
QUERY = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
OUT = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0"
TEXT = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
CONVOLUTION = "unet.down_blocks.0.resnets.0.conv1"


def layer(out: int = 32, into: int = 32, rank: int = 4, kernel: tuple[int, ...] = (), alpha: float = 4.0) -> LoraLayer:
    generator = torch.Generator().manual_seed(out + into + rank)
    ones = (1,) * len(kernel)
    down = torch.randn((rank, into, *kernel), generator=generator)
    return LoraLayer(down, torch.randn((out, rank, *ones), generator=generator), alpha)


KNOWN = kohya.known_names([QUERY, OUT, TEXT, CONVOLUTION], SD1)


# Layers and values of networks.lora in kohya's sd-scripts at rank 8 (convolutions: rank 4), counted by running it.
@pytest.mark.parametrize(
    ("name", "layers", "count", "values"),
    [
        ("sd1", "linear", 264, 4718592),
        ("sd1", "all", 350, 7557632),
        ("sd2", "linear", 330, 6848512),
        ("sd2", "all", 416, 9687552),
        pytest.param("sdxl", "linear", 986, 28504064, marks=pytest.mark.slow),
        pytest.param("sdxl", "all", 1052, 30395904, marks=pytest.mark.slow),
    ],
)
def test_at_true_size_layers_are_kohyas_and_known_to_the_webui(name, layers, count, values):
    model, recipe, method = true_sizes.model(name), Recipe(), LoraMethod()
    recipe.method.lora.layers, recipe.method.lora.rank, recipe.method.lora.conv_rank = layers, 8, 4
    method.attach(model, recipe)
    trained = method.adapters.weights()
    written = {kohya.file_name(layer, model.family): layer for layer in trained}
    assert len(written) == len(trained) == count
    assert sum(part.numel() for pair in trained.values() for part in pair) == values
    back = ldm_keys.inverse(ldm_keys.unet_prefixes(model.family.unet))
    for file, own in written.items():
        if own.startswith("unet."):
            path = ldm_keys.translate(own.removeprefix("unet."), back)
            assert path and kohya.webui_layer(file.removeprefix("lora_unet_")) == path.replace(".", "_")


@pytest.mark.parametrize(
    ("name", "family", "file"),
    [
        (QUERY, SD1, "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"),
        (OUT, SD1, "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0"),
        (TEXT, SD1, "lora_te_text_model_encoder_layers_0_self_attn_q_proj"),
        (TEXT, SDXL, "lora_te1_text_model_encoder_layers_0_self_attn_q_proj"),
        (TEXT.replace("_encoder.", "_encoder_2.", 1), SDXL, "lora_te2_text_model_encoder_layers_0_self_attn_q_proj"),
        ("unet.down_blocks.1.attentions.0.proj_in", SDXL, "lora_unet_input_blocks_4_1_proj_in"),
        ("unet.down_blocks.0.downsamplers.0.conv", SDXL, "lora_unet_input_blocks_3_0_op"),
        ("unet.up_blocks.0.upsamplers.0.conv", SDXL, "lora_unet_output_blocks_2_2_conv"),
        ("unet.mid_block.resnets.1.time_emb_proj", SDXL, "lora_unet_middle_block_2_emb_layers_1"),
        ("unet.up_blocks.1.resnets.0.conv_shortcut", SDXL, "lora_unet_output_blocks_3_0_skip_connection"),
    ],
)
def test_names_in_files(name, family, file):
    assert kohya.file_name(name, family) == file
    assert kohya.known_names([name], family)[file] == name


def test_a_unet_with_other_blocks_has_ldm_names_which_the_webui_does_not_translate():
    family = dataclasses.replace(SD1, unet={**SD1.unet, "layers_per_block": 1})
    names = ldm_keys.unet_prefixes(family.unet)
    convolutions = [f"unet.{own}" for own in names.values() if own.endswith(("conv1", "conv", "proj_in"))]
    written = [kohya.file_name(name, family).removeprefix("lora_unet_") for name in convolutions]
    layers = {name.replace(".", "_") for name in names}
    assert len(written) > 10 and all(kohya.webui_layer(name) in layers for name in written)
    assert kohya.file_name("unet.down_blocks.1.resnets.0.conv1", family) == "lora_unet_input_blocks_3_0_in_layers_2"
    assert kohya.file_name("unet.down_blocks.0.resnets.0.conv1", family) == "lora_unet_down_blocks_0_resnets_0_conv1"


def test_what_is_written_is_read(tmp_path):
    layers = {QUERY: layer(alpha=2.5), CONVOLUTION: layer(64, 32, 3, (3, 3)), TEXT: layer(64, 64, 8)}
    kohya.write(tmp_path / "a.safetensors", layers, SD1, {"ss_output_name": "ä 🙂"}, "fp32")
    tensors = load_file(tmp_path / "a.safetensors")
    root = kohya.file_name(CONVOLUTION, SD1)
    assert tensors[f"{root}.lora_down.weight"].shape == (3, 32, 3, 3)
    assert tensors[f"{root}.lora_up.weight"].shape == (64, 3, 1, 1)
    assert tensors[f"{root}.alpha"].shape == () and tensors[f"{root}.alpha"].dtype == torch.float32
    found = kohya.read(tmp_path / "a.safetensors", KNOWN)
    assert found.metadata["ss_output_name"] == "ä 🙂" and found.layers.keys() == layers.keys()
    for name, wanted in layers.items():
        assert torch.equal(found.layers[name].down, wanted.down) and torch.equal(found.layers[name].up, wanted.up)
        assert found.layers[name].alpha == wanted.alpha


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_number_formats(tmp_path, precision, dtype):
    kohya.write(tmp_path / "a.safetensors", {QUERY: layer(alpha=0.1)}, SD1, {}, precision)
    found = kohya.read(tmp_path / "a.safetensors", KNOWN).layers[QUERY]
    assert found.down.dtype == found.up.dtype == dtype and found.alpha == pytest.approx(0.1, rel=1e-6)


def test_values_too_large_for_the_format_are_an_error_and_the_old_file_stays(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")
    large = LoraLayer(torch.full((1, 32), 1e6), torch.zeros(32, 1), 1.0)
    with pytest.raises(LoraFileError, match=r"a\.safetensors.*fp32"):
        kohya.write(path, {QUERY: large}, SD1, {}, "fp16")
    assert path.read_bytes() == b"old"
    kohya.write(path, {QUERY: large}, SD1, {}, "fp32")


OTHER_STYLES = {
    "kohya, LDM names": ("lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q", "lora_down", "lora_up"),
    "peft": (QUERY, "lora_A", "lora_B"),
    "peft with its adapter": (QUERY, "lora_A.default", "lora_B.default"),
    "peft with its model": (f"base_model.model.{QUERY}", "lora_A", "lora_B"),
    "diffusers": (QUERY, "lora.down", "lora.up"),
    "diffusers, older": (QUERY, "lora_linear_layer.down", "lora_linear_layer.up"),
    "diffusers, processors": (
        QUERY.replace(".to_q", ".processor"), "to_q_lora.down", "to_q_lora.up",
    ),
}  # fmt: skip


@pytest.mark.parametrize("style", OTHER_STYLES)
def test_other_styles_are_read(tmp_path, style):
    root, down, up = OTHER_STYLES[style]
    wanted = layer(rank=6)
    save_file({f"{root}.{down}.weight": wanted.down, f"{root}.{up}.weight": wanted.up}, tmp_path / "a.safetensors")
    found = kohya.read(tmp_path / "a.safetensors", KNOWN).layers
    assert list(found) == [QUERY]
    assert torch.equal(found[QUERY].down, wanted.down) and found[QUERY].alpha == found[QUERY].rank == 6


@pytest.mark.parametrize(
    ("root", "down", "up"),
    [
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", "lora_down", "lora_up"),
        ("lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q", "lora_down", "lora_up"),
        ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", "lora_A", "lora_B"),
    ],
    ids=["kohya", "OneTrainer", "diffusers"],
)
def test_a_layer_of_sdxl_is_the_same_under_its_three_names(tmp_path, root, down, up):
    name, wanted = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", layer(128, 128)
    save_file({f"{root}.{down}.weight": wanted.down, f"{root}.{up}.weight": wanted.up}, tmp_path / "a.safetensors")
    found = kohya.read(tmp_path / "a.safetensors", kohya.known_names([name], SDXL)).layers
    assert list(found) == [name] and torch.equal(found[name].up, wanted.up)


def test_the_output_of_attention_in_processor_style(tmp_path):
    root = OUT.replace(".to_out.0", ".processor.to_out_lora")
    save_file(
        {f"{root}.down.weight": torch.ones(1, 32), f"{root}.up.weight": torch.ones(32, 1)}, tmp_path / "a.safetensors"
    )
    assert list(kohya.read(tmp_path / "a.safetensors", KNOWN).layers) == [OUT]


ROOT = kohya.file_name(QUERY, SD1)
WHOLE = {f"{ROOT}.lora_down.weight": torch.ones(2, 32), f"{ROOT}.lora_up.weight": torch.ones(32, 2)}
REFUSED = {
    "DoRA per output": ({**WHOLE, f"{ROOT}.dora_scale": torch.ones(32, 1)}, "wd_on_out"),
    "a core of another rank": ({**WHOLE, f"{ROOT}.lora_mid.weight": torch.ones(2, 3, 3, 3)}, "damaged"),
    "a core alone": ({f"{ROOT}.lora_mid.weight": torch.ones(2, 2, 3, 3)}, "damaged"),
    "half a LoHa": ({f"{ROOT}.hada_w1_a": torch.ones(32, 2)}, "damaged"),
    "half a LoKr": ({f"{ROOT}.lokr_w1": torch.ones(4, 4), f"{ROOT}.lokr_w2_a": torch.ones(8, 2)}, "damaged"),
    "OFT": ({f"{ROOT}.oft_blocks": torch.ones(4, 8, 8)}, "other kinds"),
    "a checkpoint": ({"model.diffusion_model.out.2.weight": torch.ones(4, 32, 3, 3)}, "checkpoint"),
    "another model": ({f"lora_unet_blocks_7.lora_{s}.weight": torch.ones(2, 2) for s in ("up", "down")}, "another kind"),  # noqa: E501
    "half a layer": ({f"{ROOT}.lora_down.weight": torch.ones(2, 32)}, "damaged"),
    "no rank": ({f"{ROOT}.lora_down.weight": torch.ones(0, 32), f"{ROOT}.lora_up.weight": torch.ones(32, 0)}, "damaged"),  # noqa: E501
    "no sides": ({f"{ROOT}.lora_down.weight": torch.ones(2), f"{ROOT}.lora_up.weight": torch.ones(2)}, "damaged"),
    "nothing": ({}, "empty"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_is_not_a_lora_for_this_model_is_refused_by_name(tmp_path, kind):
    tensors, words = REFUSED[kind]
    save_file({key: tensor.clone() for key, tensor in tensors.items()}, tmp_path / "a.safetensors")
    with pytest.raises(LoraFileError, match=rf"a\.safetensors.*{words}"):
        kohya.read(tmp_path / "a.safetensors", KNOWN)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a renamed zip", b"\xff" * 64])
def test_files_that_are_not_safetensors(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(LoraFileError, match=r"a\.safetensors is not a safetensors file"):
        kohya.read(tmp_path / "a.safetensors", KNOWN)


def test_a_file_cut_off_and_one_that_is_missing(tmp_path):
    kohya.write(tmp_path / "a.safetensors", {QUERY: layer()}, SD1, {}, "fp32")
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(data[:-10])
    with pytest.raises(LoraFileError, match="cut off"):
        kohya.read(tmp_path / "a.safetensors", KNOWN)
    for path in (tmp_path, tmp_path / "none.safetensors", Path("")):
        with pytest.raises(LoraFileError, match="name a LoRA file"):
            kohya.read(path, KNOWN)


@pytest.mark.parametrize(
    ("down", "up", "weight", "fits"),
    [
        ((4, 32), (64, 4), (64, 32), True),
        ((4, 32), (64, 4), (64, 32, 1, 1), True),
        ((4, 32, 1, 1), (64, 4, 1, 1), (64, 32), True),
        ((4, 32, 3, 3), (64, 4, 1, 1), (64, 32, 3, 3), True),
        ((4, 32), (64, 4), (64, 32, 3, 3), False),
        ((4, 32, 3, 3), (64, 4, 1, 1), (64, 32), False),
        ((4, 32, 3, 3), (64, 4, 1, 1), (64, 32, 1, 1), False),
        ((4, 31), (64, 4), (64, 32), False),
        ((4, 32), (64, 5), (64, 32), False),
        ((4, 32), (63, 4), (64, 32), False),
        ((4, 32, 1, 1), (64, 4, 3, 3), (64, 32, 1, 1), False),
    ],
)
def test_whether_a_layer_fits_a_weight(down, up, weight, fits):
    made = LoraLayer(torch.zeros(down), torch.zeros(up), 1.0)
    assert made.fits(weight) is fits
    if fits:
        effect = made.up.flatten(1) @ made.down.flatten(1)
        assert effect.numel() == math.prod(weight)


def test_layers_without_effect_are_left_out(tmp_path):
    zero = LoraLayer(torch.zeros(2, 32), torch.zeros(32, 2), 2.0)
    kohya.write(tmp_path / "a.safetensors", {QUERY: layer(), OUT: zero}, SD1, {}, "fp16")
    assert list(kohya.read(tmp_path / "a.safetensors", KNOWN).trained()) == [QUERY]
