"""Number formats: what computes in them, and what an overflow does."""

import math

import pytest
import torch

from sdft_ext.method.base import ParameterGroup
from sdft_ext.randomness import generator
from sdft_ext.recipe import RecipeError
from sdft_ext.train.optimizers import fused_works
from sdft_ext.train.precision import LOWEST_SCALE, Precision

CPU = torch.device("cpu")
needs_cpu_scaler = pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch before 2.3")
FORMATS = ["fp32", "bf16", pytest.param("fp16", marks=needs_cpu_scaler)]


def layer():
    draws = generator(1, "layer")
    module = torch.nn.Linear(8, 8, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.randn(8, 8, generator=draws))
    return module, torch.randn(4, 8, generator=draws)


def one_step(name, clip=0.0, factor=1.0, rate=0.1):
    module, inputs = layer()
    computing = Precision(name, CPU)
    optimizer = torch.optim.SGD(module.parameters(), lr=rate)
    with computing.autocast():
        loss = module(inputs).float().square().mean() * factor
    computing.backward(loss)
    norm = computing.step(optimizer, list(module.parameters()), clip)
    return module.weight.detach(), norm, computing


def test_autocast_computes_in_the_format():
    module, inputs = layer()
    kinds = {}
    for name in ("fp32", "bf16"):
        with Precision(name, CPU).autocast():
            kinds[name] = module(inputs).dtype
    assert kinds == {"fp32": torch.float32, "bf16": torch.bfloat16}
    assert module.weight.dtype == torch.float32


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_nearly_the_same_step(name):
    start = layer()[0].weight.detach()
    exact, norm, _ = one_step("fp32")
    found, other, _ = one_step(name)
    assert torch.allclose(found - start, exact - start, atol=0.02 * float((exact - start).abs().max()))
    assert other == pytest.approx(norm, rel=0.02)
    assert name == "fp32" or not torch.equal(found, exact)


@pytest.mark.parametrize("name", FORMATS)
def test_clipping_bounds_the_unscaled_gradient(name):
    start = layer()[0].weight.detach()
    _, norm, _ = one_step(name)
    clipped, reported, _ = one_step(name, clip=norm / 4, rate=1.0)
    assert reported == pytest.approx(norm)
    assert float((clipped - start).norm()) == pytest.approx(norm / 4, rel=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_a_gradient_that_is_not_finite_moves_nothing(name):
    weight, norm, computing = one_step(name, factor=math.inf)
    assert torch.equal(weight, layer()[0].weight) and not math.isfinite(norm)
    assert computing.broken(norm) == (name != "fp16")  # fp16 halves its scale and tries again


@needs_cpu_scaler
def test_fp16_skips_an_overflow_with_fused_adamw_and_continues():
    module, inputs = layer()
    computing = Precision("fp16", CPU)
    fused = fused_works([ParameterGroup("unet", list(module.parameters()), 0.1)])
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, fused=fused)
    start, scale = module.weight.detach().clone(), computing.scaler.get_scale()
    for factor, same in ((math.inf, True), (1.0, False)):
        computing.backward(module(inputs).square().mean() * factor)
        computing.step(optimizer, list(module.parameters()), 1.0)
        optimizer.zero_grad()
        assert torch.equal(module.weight, start) is same
    assert computing.scaler.get_scale() == scale / 2
    assert torch.isfinite(module.weight).all()


@needs_cpu_scaler
def test_fp16_that_always_overflows_is_broken():
    module, inputs = layer()
    computing = Precision("fp16", CPU)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    count = 0
    while count < 100:
        count += 1
        computing.backward(module(inputs).square().mean() * math.inf)
        norm = computing.step(optimizer, list(module.parameters()), 0.0)
        optimizer.zero_grad()
        if computing.broken(norm):
            break
    assert 10 < count < 60 and computing.scaler.get_scale() < LOWEST_SCALE


@needs_cpu_scaler
def test_the_scaler_is_kept_exactly():
    _, _, computing = one_step("fp16", factor=math.inf)
    other = Precision("fp16", CPU)
    assert other.state() != computing.state()
    other.load_state(computing.state())
    assert other.state() == computing.state() and other.scaler.get_scale() == computing.scaler.get_scale()
    assert Precision("bf16", CPU).state() == {}


@needs_cpu_scaler
def test_a_step_that_ran_out_of_memory_is_forgotten_with_its_state():
    module, inputs = layer()
    computing, parameters = Precision("fp16", CPU), list(module.parameters())
    optimizer, before = torch.optim.SGD(parameters, lr=0.1), computing.state()

    class FullOnce:
        param_groups, full = optimizer.param_groups, True

        def step(self):
            if self.full:
                self.full = False
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            optimizer.step()

    steps = FullOnce()
    computing.backward(module(inputs).square().mean())
    with pytest.raises(torch.cuda.OutOfMemoryError):
        computing.step(steps, parameters, 1.0)
    computing.load_state(before)
    optimizer.zero_grad()
    computing.backward(module(inputs).square().mean())
    computing.step(steps, parameters, 1.0)
    assert not torch.equal(module.weight, layer()[0].weight)


@pytest.mark.skipif(hasattr(torch.amp, "GradScaler"), reason="this torch has a scaler for the CPU")
def test_a_torch_without_a_scaler_for_the_cpu_says_so():
    with pytest.raises(RecipeError, match=r"torch 2\.3.*bf16"):
        Precision("fp16", CPU)
