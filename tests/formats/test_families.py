"""A model's family is detected from its file; where it can't be used, an error says what to do."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from sdft_ext.errors import ModelError
from sdft_ext.formats import families, single_file
from sdft_ext.model import borrow, load, sample
from tests.model import ldm

UNET = "model.diffusion_model."


def save(tensors, path, metadata=None):
    save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata)
    return path


def shapes(tensors):
    return {key: tuple(value.shape) for key, value in tensors.items()}


@pytest.fixture(scope="module")
def sd1():
    return ldm.state_dict(ldm.family("sd1"))


@pytest.fixture(scope="module")
def sd2_that_predicts_v():
    """Make an SD 2 whose output at the noisiest timestep is far below its input."""
    tensors = ldm.state_dict(ldm.family("sd2"))
    tensors[f"{UNET}out.2.bias"] -= 5
    return tensors


@pytest.mark.parametrize(
    "metadata", [None, {"format": "pt"}, {"modelspec.title": "mine"}], ids=["none", "format", "title"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
def test_an_sd2_without_metadata_is_probed(sd2_that_predicts_v, tmp_path, metadata, dtype):
    tensors = {key: value.to(dtype) if value.ndim else value for key, value in sd2_that_predicts_v.items()}
    assert load.load(save(tensors, tmp_path / "a.safetensors", metadata)).family.prediction == "v_prediction"


@pytest.mark.parametrize(
    "metadata", [{"modelspec.prediction_type": "epsilon"}, {"modelspec.architecture": "stable-diffusion-v2-512"}]
)
def test_an_sd2_that_declares_its_prediction_is_not_probed(sd2_that_predicts_v, tmp_path, metadata):
    assert load.load(save(sd2_that_predicts_v, tmp_path / "a.safetensors", metadata)).family.prediction == "epsilon"


def test_a_yaml_without_v_means_epsilon(sd2_that_predicts_v, tmp_path):
    path = save(sd2_that_predicts_v, tmp_path / "a.safetensors")
    path.with_suffix(".yaml").write_text("model: {params: {scale_factor: 0.18215}}")
    assert load.load(path).family.prediction == "epsilon"


def test_zero_snr_counts_only_for_v(sd1):
    marks = {**shapes(sd1), "ztsnr": (0,)}
    assert families.prediction_of(marks, {}, None) == ("epsilon", False)
    assert families.prediction_of({**marks, "v_pred": (0,)}, {}, None) == ("v_prediction", True)
    metadata = {"modelspec.prediction_type": "v", "ss_zero_terminal_snr": "True"}
    assert families.prediction_of(shapes(sd1), metadata, None) == ("v_prediction", True)


@pytest.mark.parametrize(
    "key",
    [
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
        "first_stage_model.encoder.conv_in.weight",
        f"{UNET}out.2.weight",
        f"{UNET}input_blocks.1.0.in_layers.2.weight",
    ],
)
def test_an_incomplete_file_is_named(sd1, key):
    with pytest.raises(ModelError, match=r"thing\.safetensors lacks .*incomplete"):
        families.detect({k: v for k, v in shapes(sd1).items() if k != key}, {}, None, "thing.safetensors")


def test_pruned_and_unclip_models_are_refused_by_name():
    xl = shapes(ldm.state_dict(ldm.family("sdxl")))
    without_middle = {k: v for k, v in xl.items() if ".middle_block.1." not in k and ".middle_block.2." not in k}
    shallower = {k: v for k, v in xl.items() if ".output_blocks.1.1.transformer_blocks.1." not in k}
    for pruned in (without_middle, shallower):
        with pytest.raises(ModelError, match=r"thing .*pruned.*SSD-1B"):
            families.detect(pruned, {}, None, "thing")
    sd2 = shapes(ldm.state_dict(ldm.family("sd2")))
    with pytest.raises(ModelError, match="thing is an unCLIP model"):
        families.detect({**sd2, f"{UNET}label_emb.0.0.weight": (256, 2048)}, {}, None, "thing")


def test_heads_of_small_models_come_from_the_yaml_and_the_folder_it_names(sd1, tmp_path):
    path = save(sd1, tmp_path / "small.safetensors")
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "config.json").write_text(json.dumps({"num_attention_heads": 4}))
    path.with_suffix(".yaml").write_text(
        "model: {params: {unet_config: {params: {num_heads: 2}}, cond_stage_config: {params: {version: clip}}}}"
    )
    model = load.load(path)
    assert model.unet.config.attention_head_dim == (2, 2, 2)
    assert model.text_encoders[0].config.num_attention_heads == 4
    (tmp_path / "clip" / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json can't be read"):
        load.load(path)


@pytest.mark.parametrize("where", ["file", "folder", "pipeline", "ldm"])
def test_another_vae_may_be_in_any_layout(sd1, tmp_path, where):
    other = ldm.state_dict(ldm.family("sd1"), seed=9)
    model = borrow.build(ldm.family("sd1"), other)
    model.vae.save_pretrained(tmp_path / "vae")
    paths = {"file": tmp_path / "vae/diffusion_pytorch_model.safetensors", "folder": tmp_path / "vae"}
    paths |= {"pipeline": tmp_path, "ldm": tmp_path / "whole.safetensors"}
    save(other, paths["ldm"])
    loaded = load.load(save(sd1, tmp_path / "base.safetensors"), vae=paths[where])
    theirs = dict(model.vae.named_parameters())
    assert all(torch.equal(p, theirs[name]) for name, p in loaded.vae.named_parameters())
    assert torch.equal(loaded.unet.conv_in.weight, sd1[f"{UNET}input_blocks.0.0.weight"])


def test_another_vae_may_be_the_only_one(sd1, tmp_path):
    """Checkpoints without a VAE are common, with the VAE in a file of its own."""
    vae = {key: value for key, value in sd1.items() if key.startswith("first_stage_model.")}
    base = save({key: value for key, value in sd1.items() if key not in vae}, tmp_path / "base.safetensors")
    model = load.load(base, vae=save(vae, tmp_path / "vae.safetensors"))
    assert torch.equal(model.vae.decoder.conv_in.weight, sd1["first_stage_model.decoder.conv_in.weight"])


def test_another_vae_may_be_wider_but_not_for_other_latents(sd1, tmp_path):
    base = save(sd1, tmp_path / "base.safetensors")
    generator = torch.Generator().manual_seed(3)

    def made(**changes):
        from diffusers import AutoencoderKL

        with torch.device("meta"):
            shape = {name: p.shape for name, p in AutoencoderKL(**{**ldm.VAE, **changes}).named_parameters()}
        return {name: torch.randn(tuple(size), generator=generator) * 0.05 for name, size in shape.items()}

    wide = save(made(block_out_channels=(32, 64, 64, 64)), tmp_path / "wide.safetensors")
    model = load.load(base, vae=wide)
    assert model.vae.config.block_out_channels == (32, 64, 64, 64)
    assert sample.sample(model, ["x"], [1], sample.SamplerSettings(steps=1, width=32, height=32))[0].size == (32, 32)
    many = save(made(latent_channels=16), tmp_path / "many.safetensors")
    with pytest.raises(ModelError, match=r"many\.safetensors is a VAE for latents of 16 channels, the model's have 4"):
        load.load(base, vae=many)
    for wrong, words in (
        (save({"a": torch.ones(1)}, tmp_path / "no.safetensors"), "is not a VAE"),
        (tmp_path / "x", "exist"),
    ):
        with pytest.raises(ModelError, match=words):
            load.load(base, vae=wrong)


def pipeline(model, folder, name, **scheduler):
    for part, module in zip(("unet", "vae", "text_encoder", "text_encoder_2"), model.modules, strict=False):
        module.save_pretrained(folder / part)
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": name}))


def test_an_sd2_folder_without_its_unused_layer_predicts_as_the_single_file(tmp_path):
    from transformers import CLIPTextConfig, CLIPTextModel

    family = ldm.family("sd2")
    model = borrow.build(family, ldm.state_dict(family))
    options = sample.SamplerSettings(steps=2, width=64, height=64)
    expected = sample.sample(model, ["a cat"], [1], options)[0]
    shorter = CLIPTextModel(CLIPTextConfig(**{**family.text[0], "num_hidden_layers": 2}))
    shorter.load_state_dict(model.text_encoders[0].state_dict(), strict=False)
    model.text_encoders = [shorter]
    pipeline(model, tmp_path, "StableDiffusionPipeline", prediction_type="epsilon")
    # Settings of newer versions are left out.
    config = tmp_path / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "of_a_later_version": 1}))
    folder = load.load(tmp_path)
    assert (folder.family.name, folder.family.text_layer) == ("sd2", (1,))
    assert sample.sample(folder, ["a cat"], [1], options)[0].tobytes() == expected.tobytes()


@pytest.mark.parametrize(("layers", "layer"), [(24, 2), (23, 1)])
def test_the_layer_of_an_sd2_file_that_a_folder_was_made_into(layers, layer):
    """OpenCLIP's H has 24 text layers, and SD 2 reads the one before the last; diffusers' 23 end with that one."""
    shapes = {key: tuple(value.shape) for key, value in ldm.state_dict(ldm.family("sd2")).items()}
    shapes = {key: shape for key, shape in shapes.items() if not key.startswith(families.CLIP_H)}
    config = ldm.text(1024, layers, "gelu")
    shapes |= ldm.open_clip(families.CLIP_H, config, lambda shape, scale=1.0: tuple(shape))
    found = families.detect(shapes, {}, None, "thing")
    assert found.text[0]["num_hidden_layers"] == layers and found.text_layer == (layer,)


def test_damaged_folders_are_named(sd1, tmp_path):
    pipeline(borrow.build(ldm.family("sd1"), sd1), tmp_path, "StableDiffusionPipeline")
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"diffusion_pytorch_model.*cut off"):
        load.load(tmp_path)
    weights.unlink()
    with pytest.raises(ModelError, match="unet contains no weights"):
        load.load(tmp_path)
    (tmp_path / "vae" / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json can't be read"):
        load.load(tmp_path)
    shutil.rmtree(tmp_path / "vae")
    with pytest.raises(ModelError, match=r"vae/config\.json is missing"):
        load.load(tmp_path)
    index = {"_class_name": "StableDiffusionXLImg2ImgPipeline", "text_encoder": [None, None]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="refiner"):
        load.load(tmp_path)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionInpaintPipeline"}))
    with pytest.raises(ModelError, match="StableDiffusionInpaintPipeline"):
        load.load(tmp_path)


def test_a_files_content_counts_more_than_its_extension(sd1, tmp_path):
    path = save(sd1, tmp_path / "in.safetensors")
    assert len(single_file.read(path.rename(tmp_path / "renamed.ckpt"))) == len(sd1)
    (tmp_path / "page.ckpt").write_text("<html>")
    with pytest.raises(ModelError, match=r"page\.ckpt is a web page"):
        single_file.read(tmp_path / "page.ckpt")
    (tmp_path / "pointer.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    with pytest.raises(ModelError, match="Git LFS pointer"):
        single_file.read(tmp_path / "pointer.safetensors")
    with pytest.raises(ModelError, match="is a folder"):
        single_file.read(tmp_path)
