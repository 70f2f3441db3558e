"""The moving average of the weights, and that using it changes no weights."""

import pytest
import torch

from sdft_ext.randomness import generator
from sdft_ext.train.ema import EMA


def parameters():
    draws = generator(1, "weights")
    return [torch.nn.Parameter(torch.randn(3, 5, generator=draws)), torch.nn.Parameter(torch.randn(4, generator=draws))]


def move(weights, by):
    with torch.no_grad():
        for weight in weights:
            weight.add_(by)


def test_the_mean_by_hand():
    weights = parameters()
    start = weights[0].detach().clone()
    ema = EMA(weights, 0.15)
    move(weights, 1.0)
    ema.update()  # decay (1 + 0)/(10 + 0) = 0.1: 0.9 of the way
    assert torch.allclose(ema.mean[0], start + 0.9)
    move(weights, 1.0)
    ema.update()  # decay min(0.15, 2/11) = 0.15
    assert torch.allclose(ema.mean[0], start + 0.15 * 0.9 + 0.85 * 2.0)


def test_the_decay_changes_the_mean():
    means = []
    for decay in (0.5, 0.9):
        weights = parameters()
        ema = EMA(weights, decay)
        for _ in range(30):
            move(weights, 0.1)
            ema.update()
        means.append(float((weights[0].detach() - ema.mean[0]).mean()))
    assert 0 < means[0] < means[1]


def test_applied_swaps_in_and_back_bit_for_bit():
    weights = parameters()
    ema = EMA(weights, 0.9)
    move(weights, 1 / 3)
    ema.update()
    before, mean = [w.detach().clone() for w in weights], [m.clone() for m in ema.mean]
    storages = [w.data_ptr() for w in weights]
    with pytest.raises(RuntimeError, match="inside"), ema.applied():
        assert all(torch.equal(w, m) for w, m in zip(weights, mean, strict=True))
        raise RuntimeError("inside")
    assert all(torch.equal(w, b) for w, b in zip(weights, before, strict=True))
    assert all(torch.equal(m, n) for m, n in zip(ema.mean, mean, strict=True))
    assert storages == [w.data_ptr() for w in weights] and all(w.requires_grad for w in weights)


def test_a_save_of_bf16_weights_sees_the_mean_as_it_is():
    """Rounded once, to what the file holds; the weights and their memory are the same after."""
    weights = [torch.nn.Parameter(weight.detach().bfloat16()) for weight in parameters()]
    ema = EMA(weights, 0.9)
    move(weights, 1 / 3)
    ema.update()
    before, places = [w.detach().clone() for w in weights], [w.data_ptr() for w in weights]
    with pytest.raises(RuntimeError, match="inside"), ema.exact():
        assert all(torch.equal(w, m) and w.dtype == torch.float32 for w, m in zip(weights, ema.mean, strict=True))
        assert not torch.equal(weights[0], weights[0].bfloat16().float())
        raise RuntimeError("inside")
    assert all(torch.equal(w, b) and w.dtype == b.dtype for w, b in zip(weights, before, strict=True))
    assert places == [w.data_ptr() for w in weights] and all(w.requires_grad for w in weights)


def test_a_loaded_average_continues_as_if_never_stopped():
    weights = parameters()
    ema = EMA(weights, 0.99)
    for _ in range(3):
        move(weights, 0.1)
        ema.update()
    other = EMA(parameters(), 0.99)
    other.load(ema.mean, ema.updates)
    other.parameters = weights
    for each in (ema, other):
        each.update()
    assert ema.updates == other.updates == 4
    assert all(torch.equal(a, b) for a, b in zip(ema.mean, other.mean, strict=True))
