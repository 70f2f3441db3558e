"""Distances, weights and masks against numbers worked out by hand."""

import math

import pytest
import torch

from sdft_ext.train import losses

# ᾱ of Stable Diffusion: square roots of β evenly from √0.00085 to √0.012.
CLEAN = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)


def distance(kind, difference, delta=0.1):
    return float(losses.distance(torch.tensor([difference]), torch.zeros(1), kind, delta))


def test_distances_by_hand():
    assert distance("l2", -3.0) == 9 and distance("l1", -3.0) == 3
    assert distance("huber", 0.05) == pytest.approx(0.05**2)
    assert distance("huber", 3.0) == pytest.approx(0.1 * (2 * 3.0 - 0.1))
    assert distance("pseudo_huber", 3.0) == pytest.approx(2 * 0.1 * (math.sqrt(9 + 0.01) - 0.1))
    assert distance("pseudo_huber", -3.0, 1.0) == pytest.approx(2 * (math.sqrt(10) - 1))


@pytest.mark.parametrize("kind", ["huber", "pseudo_huber"])
def test_hubers_are_the_square_near_zero_and_straight_far_off(kind):
    assert distance(kind, 0.5, delta=100.0) == pytest.approx(0.25, rel=1e-4)
    assert distance(kind, 200.0) / distance(kind, 100.0) == pytest.approx(2, rel=1e-2)


def test_the_gradient_of_every_distance_at_zero_is_zero():
    for kind in ("l2", "l1", "huber", "pseudo_huber"):
        value = torch.zeros(1, requires_grad=True)
        losses.distance(value, torch.zeros(1), kind, 0.1).sum().backward()
        assert float(value.grad) == 0


def test_snr_of_the_schedule():
    ratio = losses.snr(CLEAN)
    assert ratio.dtype == torch.float64
    assert float(ratio[0]) == pytest.approx((1 - 0.00085) / 0.00085)
    assert float(ratio[999]) == pytest.approx(0.00468, abs=1e-5)


def weight(kind, ratio, prediction="epsilon", gamma=5.0):
    return float(losses.snr_weights(torch.tensor([ratio], dtype=torch.float64), kind, gamma, prediction))


def test_weights_by_hand():
    assert weight("none", 3.0) == 1
    assert weight("min_snr", 2.0) == 1 and weight("min_snr", 20.0) == pytest.approx(5 / 20)
    assert weight("min_snr", 20.0, gamma=1.0) == pytest.approx(1 / 20)
    assert weight("min_snr", 2.0, "v_prediction") == pytest.approx(2 / 3)
    assert weight("min_snr", 20.0, "v_prediction") == pytest.approx(5 / 21)
    assert weight("soft_min_snr", 20.0) == pytest.approx(5 / 25)
    assert weight("soft_min_snr", 20.0, "v_prediction") == pytest.approx(20 * 5 / 25 / 21)
    assert weight("debiased", 4.0) == pytest.approx(1 / 2)
    assert weight("debiased", 4.0, "v_prediction") == pytest.approx(1 / 5)
    assert weight("debiased", 1176.0) == pytest.approx(1 / math.sqrt(1000))


@pytest.mark.parametrize("kind", ["none", "min_snr", "soft_min_snr", "debiased"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_weights_are_finite_and_bounded_from_pure_noise_to_none(kind, prediction):
    ratio = torch.cat([torch.tensor([0.0, math.inf], dtype=torch.float64), losses.snr(losses.zero_terminal(CLEAN))])
    found = losses.snr_weights(ratio, kind, 5.0, prediction)
    assert torch.isfinite(found).all() and found.min() >= 0 and found.max() < 16


def test_the_bounds_do_not_touch_the_plain_schedule():
    ratio = losses.snr(CLEAN)[1:]
    within = ratio[ratio < 1000]
    assert torch.equal(losses.snr_weights(within, "debiased", 5.0, "epsilon"), 1 / within.sqrt())


def test_zero_terminal_keeps_the_first_and_empties_the_last():
    rescaled = losses.zero_terminal(CLEAN)
    assert float(rescaled[-1]) == 0 and float(rescaled[0]) == pytest.approx(float(CLEAN[0]), rel=1e-12)
    assert (rescaled.diff() < 0).all() and (rescaled <= CLEAN + 1e-15).all()
    # Lin 2023, algorithm 1, for one timestep in the middle.
    root = [math.sqrt(float(CLEAN[t])) for t in (0, 500, 999)]
    assert float(rescaled[500]) == pytest.approx(((root[1] - root[2]) * root[0] / (root[0] - root[2])) ** 2)


def test_masked_mean_by_hand():
    values = torch.tensor([[[[1.0, 2.0], [3.0, 10.0]]]]).expand(1, 4, 2, 2)
    mask = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    assert float(losses.masked_mean(values, None, 0.0)) == 4
    assert float(losses.masked_mean(values, mask, 0.0)) == pytest.approx((1 + 10) / 2)
    assert float(losses.masked_mean(values, mask, 0.5)) == pytest.approx((1 + 10 + 0.5 * (2 + 3)) / 3)
    assert float(losses.masked_mean(values, mask, 1.0)) == pytest.approx(4)
    assert float(losses.masked_mean(values, 0.5 * mask, 0.0)) == pytest.approx((1 + 10) / 2)


def test_a_mask_that_hides_all_gives_zero_not_nan():
    values = torch.ones(2, 4, 2, 2, requires_grad=True)
    found = losses.masked_mean(values, torch.zeros(2, 1, 2, 2), 0.0)
    found.sum().backward()
    assert found.tolist() == [0, 0] and torch.isfinite(values.grad).all()
