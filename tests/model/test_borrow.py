"""Borrowed tensors of a live module tree: shared, followed when the host moves them, flags restored."""

from pathlib import Path

import pytest
import torch
from torch import nn

from sdft_ext.errors import ModelError
from sdft_ext.model import borrow, sample, text, vae
from sdft_ext.model.base import Flags
from tests.model import ldm


def tree(tensors):
    """Make a module tree with these parameters, with the WebUI's wrappers around text encoders and token embeddings."""
    root = nn.Module()
    for key, value in tensors.items():
        for name in ("cond_stage_model.", "conditioner.embedders.0.", "conditioner.embedders.1."):
            key = key.replace(name, f"{name}wrapped.") if key.startswith(name) else key
        *path, leaf = key.replace("token_embedding.", "token_embedding.wrapped.").split(".")
        owner = root
        for part in path:
            if part not in owner._modules:
                owner.add_module(part, nn.Module())
            owner = owner._modules[part]
        if value.is_floating_point():
            owner.register_parameter(leaf, nn.Parameter(value.clone()))
        else:
            owner.register_buffer(leaf, value.clone())
    return root


@pytest.fixture(params=["sd1", "sd2", "sdxl"])
def lent(request):
    family = ldm.family(request.param)
    host = tree(ldm.state_dict(family))
    return family, host, borrow.build(family, dict(host.named_parameters()))


def test_parameters_are_the_hosts_own_wherever_shapes_agree(lent):
    family, host, model = lent
    own = {id(parameter) for parameter in host.parameters()}
    shared = [[id(p) in own for p in module.parameters()] for module in model.modules]
    assert all(shared[0])
    # Per VAE half: q, k, v and output of the attention, 1×1 convolutions there.
    assert shared[1].count(False) == 8
    for encoder, open_clip, flags in zip(model.text_encoders, family.open_clip, shared[2:], strict=True):
        # Per OpenCLIP layer: q, k and v, weight and bias; and the transposed projection.
        fused = encoder.config.num_hidden_layers * 6 + hasattr(encoder, "text_projection") if open_clip else 0
        assert flags.count(False) == fused
    memory = {p.untyped_storage().data_ptr() for p in host.parameters()}
    assert all(p.untyped_storage().data_ptr() in memory for module in model.modules for p in module.parameters())
    assert len(model.views) == sum(flags.count(False) for flags in shared)


@torch.no_grad()
def test_views_are_renewed_after_the_host_has_moved_its_modules(lent):
    _, host, model = lent
    before = [p for module in model.modules for p in module.parameters()]
    context = text.encode(model, ["a cat"]).context
    host._apply(torch.clone)  # what .to(another device) does: every parameter keeps its object and gets other memory
    model.refresh()
    memory = {p.untyped_storage().data_ptr() for p in host.parameters()}
    after = [p for module in model.modules for p in module.parameters()]
    assert all(p.untyped_storage().data_ptr() in memory for p in after)
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert torch.equal(text.encode(model, ["a cat"]).context, context)
    for name, parameter in host.named_parameters():
        if name.endswith(("in_proj_bias", "v_proj.bias")):
            parameter += 1
    assert not torch.allclose(text.encode(model, ["a cat"]).context, context, atol=0.01)


def test_the_hosts_flags_gradients_and_modes_are_restored(lent):
    _, host, model = lent
    host.requires_grad_(True)
    host.get_parameter("model.diffusion_model.out.2.weight").requires_grad_(False)
    weight = model.unet.conv_in.weight
    weight.grad = kept = torch.ones_like(weight)
    flags = Flags(model.modules)
    for module in model.modules:
        module.requires_grad_(False).train()
    weight.grad = None
    model.unet.conv_out.weight.grad = torch.zeros_like(model.unet.conv_out.weight)
    flags.restore()
    assert weight.grad is kept and model.unet.conv_out.weight.grad is None
    wanted = {n: not n.endswith("diffusion_model.out.2.weight") for n, _ in host.named_parameters()}
    shared = {id(p) for module in model.modules for p in module.parameters()}
    assert all(p.requires_grad == wanted[n] for n, p in host.named_parameters() if id(p) in shared)
    assert not any(part.training for module in model.modules for part in module.modules())


def test_a_wrong_shape_is_named(lent):
    family, host, _ = lent
    tensors = dict(host.named_parameters())
    tensors["model.diffusion_model.out.2.bias"] = torch.zeros(5)
    with pytest.raises(ModelError, match=r"out\.2\.bias has the shape \(5,\) where \(4,\) is expected"):
        borrow.build(family, tensors)


def test_building_draws_no_numbers_and_copies_nothing(lent):
    family, host, _ = lent
    state = torch.get_rng_state()
    versions = [p._version for p in host.parameters()]
    borrow.build(family, dict(host.named_parameters()))
    assert torch.equal(state, torch.get_rng_state())
    assert versions == [p._version for p in host.parameters()]


@pytest.fixture(scope="module")
def small():
    family = ldm.family("sd1")
    return borrow.build(family, ldm.state_dict(family))


def test_each_prompt_is_encoded_once_and_long_ones_do_not_pad_others(small):
    rows = []
    hook = small.text_encoders[0].text_model.register_forward_pre_hook(
        lambda m, a, k: rows.append(k["input_ids"].shape[0]), with_kwargs=True
    )
    options = sample.SamplerSettings("bad", steps=1, width=64, height=64)
    prompts = ["a cat", "cat " * 100, "a dog", "a cat", "a cat"]
    many = sample.sample(small, prompts, [1, 2, 3, 4, 1], options, batch=2)
    hook.remove()
    assert sum(rows) == 3 + 2 * 2  # a cat, a dog, bad; and the long one and bad with two chunks each
    alone = [sample.sample(small, [p], [s], options)[0] for p, s in zip(prompts, [1, 2, 3, 4, 1], strict=True)]
    for one, other in zip(many, alone, strict=True):
        assert (
            max(
                abs(a - b)
                for p, q in zip(one.getdata(), other.getdata(), strict=True)
                for a, b in zip(p, q, strict=True)
            )
            <= 1
        )
    assert many[0].tobytes() != many[3].tobytes()


def test_a_long_negative_prompt_pads_the_prompt(small):
    options = sample.SamplerSettings("bad " * 80, steps=1, width=64, height=64)
    pictures = sample.sample(small, ["a cat", "a dog"], [1, 2], options)
    assert len(pictures) == 2


def test_every_prompt_needs_a_seed(small):
    with pytest.raises(ValueError, match="2 prompts need as many seeds, not 1"):
        sample.sample(small, ["a", "b"], [1], sample.SamplerSettings(steps=1, width=64, height=64))


def halves_run_on_the_cpu():
    try:
        return bool(nn.Conv2d(1, 1, 1).half()(torch.ones(1, 1, 1, 1).half()).isfinite().all())
    except RuntimeError:
        return False


@pytest.mark.skipif(not halves_run_on_the_cpu(), reason="this torch convolves halves only on a GPU")
@torch.no_grad()
def test_a_vae_that_overflows_in_half_precision_is_run_in_float32():
    family = ldm.family("sd1")
    tensors = ldm.state_dict(family)
    # Weights that a half holds, sums that it doesn't; the normalisation after them makes them small again.
    tensors["first_stage_model.encoder.conv_in.weight"] *= 200000
    tensors["first_stage_model.decoder.conv_in.weight"] *= 200000
    model = borrow.build(family, tensors)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(1, 3, 32, 32, generator=generator).sign()
    latents = torch.randn(1, 4, 4, 4, generator=generator)
    mean, _ = vae.encode_pictures(model, pixels)
    picture = vae.decode(model, latents)
    model.vae.half()
    weights = [p.clone() for p in model.vae.parameters()]
    assert not model.vae.encode(pixels.half()).latent_dist.mean.isfinite().all()
    again, spread = vae.encode_pictures(model, pixels)
    assert again.dtype == torch.float32 and torch.isfinite(spread).all()
    assert torch.allclose(again, mean, atol=0.02)
    assert torch.allclose(vae.decode(model, latents), picture, atol=0.02)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.vae.parameters(), strict=True))


def test_a_broken_vae_is_named():
    family = ldm.family("sd1")
    tensors = ldm.state_dict(family)
    tensors["first_stage_model.encoder.conv_in.bias"] += float("nan")
    model = borrow.build(family, tensors, Path("broken.safetensors"))
    with pytest.raises(ModelError, match=r"broken\.safetensors returns NaN or infinity"):
        vae.encode_pictures(model, torch.zeros(1, 3, 32, 32))
