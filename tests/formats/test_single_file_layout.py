"""Names compared with diffusers' own converters, and borrowed models with loaded ones."""

import dataclasses

import pytest
import torch
from safetensors.torch import save_file

from sdft_ext.errors import ModelError
from sdft_ext.formats import families
from sdft_ext.model import borrow, load, sample, text, vae
from sdft_ext.model.base import Flags, predict
from tests.model import ldm

NAMES = ("sd1", "sd2", "sdxl")


@pytest.fixture(scope="module", params=NAMES)
def world(request, tmp_path_factory):
    family = ldm.family(request.param)
    tensors = ldm.state_dict(family)
    file = tmp_path_factory.mktemp("model") / f"{request.param}.safetensors"
    save_file({key: value.contiguous() for key, value in tensors.items()}, file)
    return family, tensors, file


def shapes(tensors):
    return {key: tuple(value.shape) for key, value in tensors.items()}


def normal(config):
    return {k: list(v) if isinstance(v, tuple) else v for k, v in config.items()}


def test_the_family_is_detected_from_shapes(world):
    family, tensors, _ = world
    # The number of heads of small models isn't clear from the shapes: the yaml has it.
    params = {"unet_config": {"params": {"num_heads": 8}}} if family.name == "sd1" else {}
    found = families.detect(shapes(tensors), {}, {"model": {"params": params}}, "file")
    assert found.name == family.name and found.latent_scale == family.latent_scale
    assert normal(found.unet) == normal(family.unet)
    assert normal(found.vae) == normal(family.vae)
    assert found.text == family.text and found.text_layer == family.text_layer


def test_unet_and_vae_names_are_those_of_diffusers(world):
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint

    family, tensors, _ = world
    unet, autoencoder, *_ = borrow.skeletons(family)
    config = {**family.unet, "class_embed_type": None, "layers_per_block": 2}
    theirs = convert_ldm_unet_checkpoint(dict(tensors), config=config)
    model = borrow.build(family, tensors)
    ours = dict(model.unet.named_parameters())
    assert set(theirs) == set(ours) == {name for name, _ in unet.named_parameters()}
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    theirs = convert_ldm_vae_checkpoint(dict(tensors), config=family.vae)
    ours = dict(model.vae.named_parameters())
    assert set(theirs) == set(ours) == {name for name, _ in autoencoder.named_parameters()}
    assert all(torch.equal(theirs[name].reshape(ours[name].shape), ours[name]) for name in ours)


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_clip_names_are_those_of_diffusers(name):
    from diffusers.loaders.single_file_utils import convert_ldm_clip_checkpoint

    family = ldm.family(name)
    tensors = ldm.state_dict(family)
    prefix = {"sd1": "cond_stage_model.transformer.", "sdxl": "conditioner.embedders.0.transformer."}[name]
    theirs = convert_ldm_clip_checkpoint(dict(tensors), remove_prefix=prefix)
    ours = dict(borrow.build(family, tensors).text_encoders[0].named_parameters())
    assert set(ours) == {key for key in theirs if not key.endswith("position_ids")}
    assert all(torch.equal(theirs[key], value) for key, value in ours.items())


@pytest.mark.parametrize("name", ["sd2", "sdxl"])
def test_open_clip_names_are_those_of_diffusers(name):
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint

    family = ldm.family(name)
    tensors = ldm.state_dict(family)
    prefix = {"sd2": "cond_stage_model.model.", "sdxl": "conditioner.embedders.1.model."}[name]
    model = borrow.build(family, tensors)
    encoder = model.text_encoders[-1]
    theirs = convert_open_clip_checkpoint(encoder, dict(tensors), prefix)
    ours = dict(encoder.named_parameters())
    for key, value in ours.items():
        assert torch.equal(theirs[key], value), key
    assert set(ours) <= set(theirs)


def test_every_parameter_shares_the_hosts_storage(world):
    family, tensors, _ = world
    live = {
        key.replace("transformer.text_model.", "wrapped.transformer.text_model.")
        if family.name == "sd1"
        else key: torch.nn.Parameter(value.clone()) if value.is_floating_point() else value
        for key, value in tensors.items()
    }
    model = borrow.build(family, live)
    storages = {value.untyped_storage().data_ptr() for value in live.values()}
    parameters = [p for module in model.modules for p in module.parameters()]
    assert all(p.untyped_storage().data_ptr() in storages for p in parameters)
    objects = {id(value) for value in live.values()}
    assert all(id(p) in objects for p in model.unet.parameters())


@torch.no_grad()
def test_a_borrowed_model_predicts_as_a_loaded_one_and_follows_the_hosts_changes(world):
    family, tensors, file = world
    model, loaded = borrow.build(family, tensors), load.load(file)
    loaded.family = family
    if family.name == "sd1":
        loaded.unet = model.unet  # heads aren't in the file
    noise, times = torch.randn(2, 4, 8, 8), torch.tensor([10, 900])
    ids = torch.tensor([[64.0, 64, 0, 0, 64, 64]]).expand(2, -1)
    answers = [predict(m, noise, times, text.encode(m, ["a cat", "a dog"]), ids) for m in (model, loaded)]
    assert torch.allclose(*answers, atol=1e-6)  # a transposed view multiplies in another order than a copy
    assert torch.equal(vae.decode(model, noise), vae.decode(loaded, noise))
    before = answers[0]
    key = "model.diffusion_model.out.2.bias"
    tensors[key] += 1
    assert torch.allclose(
        predict(model, noise, times, text.encode(model, ["a cat", "a dog"]), ids), before + 1, atol=1e-5
    )
    tensors[key] -= 1


def test_a_missing_tensor_is_named():
    family = ldm.family("sd1")
    tensors = ldm.state_dict(family)
    del tensors["model.diffusion_model.out.2.bias"]
    with pytest.raises(ModelError, match=r"lacks 1 tensor, such as conv_out\.bias"):
        borrow.build(family, tensors)


REFUSED = {
    "inpainting": {"model.diffusion_model.input_blocks.0.0.weight": (64, 9, 3, 3)},
    "depth": {"model.diffusion_model.input_blocks.0.0.weight": (64, 5, 3, 3)},
    "InstructPix2Pix": {"model.diffusion_model.input_blocks.0.0.weight": (64, 8, 3, 3)},
    "Stable Diffusion 3": {"model.diffusion_model.joint_blocks.0.x": (1,)},
    "Flux": {"double_blocks.0.img_attn.qkv.weight": (1,)},
    "LoRA": {"lora_unet_mid_block.lora_down.weight": (4, 4)},
    "an embedding": {"emb_params": (1, 768)},
    "a VAE": {"encoder.conv_in.weight": (64, 3, 3, 3)},
    "refiner": {
        "model.diffusion_model.input_blocks.0.0.weight": (64, 4, 3, 3),
        "conditioner.embedders.0.model.ln_final.weight": (1280,),
    },
    "no text encoder": {"model.diffusion_model.input_blocks.0.0.weight": (64, 4, 3, 3)},
    "not a Stable Diffusion": {"weight": (1,)},
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_trained_is_refused_by_name(what):
    with pytest.raises(ModelError, match=f"thing.safetensors .*{what}"):
        families.detect(REFUSED[what], {}, None, "thing.safetensors")


def test_v_prediction_and_zero_snr_are_read_from_the_file():
    base = shapes(ldm.state_dict(ldm.family("sdxl")))
    assert families.prediction_of(base, {}, None) == ("epsilon", False)
    assert families.prediction_of({**base, "v_pred": (0,), "ztsnr": (0,)}, {}, None) == ("v_prediction", True)
    assert families.prediction_of(base, {"modelspec.prediction_type": "v"}, None)[0] == "v_prediction"
    config = {"model": {"params": {"parameterization": "v"}}}
    assert families.prediction_of(base, {}, config)[0] == "v_prediction"
    scaling = {"scaling_config": {"target": "sgm.modules.diffusionmodules.denoiser_scaling.VScaling"}}
    config = {"model": {"params": {"denoiser_config": {"params": scaling}}}}
    assert families.prediction_of(base, {}, config)[0] == "v_prediction"


def test_a_picture_does_not_depend_on_the_others_of_its_batch(world):
    family, tensors, _ = world
    model = borrow.build(family, tensors)
    state = torch.get_rng_state()
    options = sample.SamplerSettings(steps=2, width=64, height=64)
    together = sample.sample(model, ["a cat", "a dog", "a cat"], [1, 2, 1], options)
    alone = sample.sample(model, ["a cat"], [1], options)
    pixels = [list(picture.getdata()) for picture in (*together, *alone)]
    near = max(abs(a - b) for p, q in zip(pixels[0], pixels[3], strict=True) for a, b in zip(p, q, strict=True))
    assert near <= 1 and pixels[0] == pixels[2] and pixels[0] != pixels[1]
    assert torch.equal(state, torch.get_rng_state())


def test_v_and_epsilon_draw_different_pictures(world):
    family, tensors, _ = world
    model = borrow.build(family, tensors)
    one = sample.sample(model, ["x"], [1], sample.SamplerSettings(steps=2, width=64, height=64))[0]
    for change in ({"prediction": "v_prediction"}, {"prediction": "v_prediction", "zero_terminal_snr": True}):
        model.family = dataclasses.replace(family, **change)
        other = sample.sample(model, ["x"], [1], sample.SamplerSettings(steps=2, width=64, height=64))[0]
        assert other.tobytes() != one.tobytes()
        one = other


def test_flags_are_restored():
    model = borrow.build(ldm.family("sd1"), ldm.state_dict(ldm.family("sd1")))
    model.unet.conv_in.weight.requires_grad_(True)
    model.vae.train()
    flags = Flags(model.modules)
    for module in model.modules:
        module.requires_grad_(False)
        module.eval()
    flags.restore()
    assert model.unet.conv_in.weight.requires_grad and not model.unet.conv_out.weight.requires_grad
    assert model.vae.training and not model.unet.training


def test_the_vae_is_replaced(tmp_path):
    family = ldm.family("sd1")
    tensors, other = ldm.state_dict(family), ldm.state_dict(family, seed=9)
    save_file({k: v.contiguous() for k, v in tensors.items()}, tmp_path / "base.safetensors")
    only = {
        k.removeprefix("first_stage_model."): v.contiguous() for k, v in other.items() if k.startswith("first_stage")
    }
    save_file(only, tmp_path / "vae.safetensors")
    model = load.load(tmp_path / "base.safetensors", vae=tmp_path / "vae.safetensors")
    assert torch.equal(model.vae.encoder.conv_in.weight, other["first_stage_model.encoder.conv_in.weight"])
    assert torch.equal(model.unet.conv_in.weight, tensors["model.diffusion_model.input_blocks.0.0.weight"])


@pytest.mark.parametrize("name", ["sd1", "sdxl"])  # SD 2's leave a text layer out: see test_families
def test_a_diffusers_folder_predicts_as_the_single_file(name, tmp_path):
    import json

    family = ldm.family(name)
    tensors = ldm.state_dict(family)
    model = borrow.build(family, tensors)
    for name, module in zip(("unet", "vae", "text_encoder", "text_encoder_2"), model.modules, strict=False):
        module.save_pretrained(tmp_path / name)
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps({"prediction_type": "epsilon"}))
    kind = "StableDiffusionXLPipeline" if family.name == "sdxl" else "StableDiffusionPipeline"
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    config = json.loads((tmp_path / "vae" / "config.json").read_text())
    config["scaling_factor"] = family.latent_scale
    (tmp_path / "vae" / "config.json").write_text(json.dumps(config))
    folder = load.load(tmp_path)
    assert (folder.family.name, folder.family.text_layer) == (family.name, family.text_layer)
    options = sample.SamplerSettings(steps=2, width=64, height=64)
    pictures = [sample.sample(m, ["a cat"], [1], options)[0].tobytes() for m in (model, folder)]
    assert pictures[0] == pictures[1]


def test_the_prediction_type_of_a_real_sd2_without_metadata_is_probed():
    family = ldm.family("sd2")
    tensors = ldm.state_dict(family)
    model = borrow.build(family, tensors)
    assert not load.probe_v(model)
    with torch.no_grad():
        model.unet.conv_out.bias -= 5
    assert load.probe_v(model)
