"""Timesteps and noise: what the recipe's settings do to the draws."""

import itertools
import math

import pytest
import torch

from sdft_ext.randomness import generator
from sdft_ext.recipe import TrainRecipe
from sdft_ext.train import noise

SHAPE = torch.Size([64, 4, 16, 16])


def times(count=20000, **settings):
    return noise.timesteps(count, TrainRecipe(**settings), generator(1, "t"))


def drawn(shape=SHAPE, **settings):
    return noise.noise(shape, TrainRecipe(**settings), generator(1, "n"))


def test_uniform_timesteps_fill_the_whole_range():
    counts = torch.bincount(times() // 100, minlength=10)
    assert len(counts) == 10 and counts.min() > 1800 and counts.max() < 2200
    assert times().min() == 0 and times().max() == 999


@pytest.mark.parametrize("distribution", ["uniform", "logit_normal", "cubic"])
def test_timesteps_stay_within_first_and_last(distribution):
    found = times(timestep_min=300, timestep_max=302, timestep_distribution=distribution)
    assert set(found.tolist()) == {300, 301, 302}
    assert set(times(50, timestep_min=7, timestep_max=7, timestep_distribution=distribution).tolist()) == {7}


def test_logit_normal_is_the_sigmoid_of_a_normal():
    found = times(timestep_distribution="logit_normal", logit_mean=0.5, logit_std=0.8)
    places = (found.double() + 0.5) / 1000
    logits = (places / (1 - places)).log()
    assert abs(logits.mean() - 0.5) < 0.02 and abs(logits.std() - 0.8) < 0.02


def test_cubic_prefers_noisy_timesteps():
    # The place 1 - u³ lies above 7/8 where u < ½.
    assert abs((times(timestep_distribution="cubic") >= 875).double().mean() - 0.5) < 0.01


def test_extreme_logits_stay_in_range():
    assert times(100, timestep_distribution="logit_normal", logit_mean=10, logit_std=10).max() <= 999


def test_plain_noise_is_the_keyed_draw():
    assert torch.equal(drawn(), torch.randn(SHAPE, generator=generator(1, "n")))


def test_noise_offset_moves_each_channel_of_each_picture():
    extra = drawn(noise_offset=0.1) - drawn()
    assert extra.flatten(2).std(2).max() < 1e-6
    offsets = extra.mean((2, 3))
    assert abs(offsets.std() - 0.1) < 0.02 and offsets.unique().numel() == offsets.numel()


def test_pyramid_adds_coarse_noise_and_keeps_variance_one():
    plain, coarse = drawn(), drawn(multires_iterations=5, multires_discount=0.9)
    assert coarse.flatten(1).std(1).sub(1).abs().max() < 1e-5

    def low(value):  # what is left after averaging 8×8 blocks: 1/8 for white noise
        return torch.nn.functional.avg_pool2d(value, 8).std()

    assert abs(low(plain) - 1 / 8) < 0.02 and low(coarse) > 2 * low(plain)


def test_pyramid_by_hand():
    """Plain noise and three levels, drawn in order, enlarged bilinearly, weighed 1, 1, d, d²."""
    draws, shape, d = generator(1, "n"), (3, 4, 24, 32), 0.6
    total = torch.randn(shape, generator=draws)
    for level, weight in enumerate([1, d, d * d]):
        ratio = (2 + 2 * float(torch.rand((), generator=draws))) ** level
        small = torch.randn(3, 4, int(24 / ratio), int(32 / ratio), generator=draws)
        total += weight * torch.nn.functional.interpolate(small, (24, 32), mode="bilinear")
    expected = torch.stack([picture / picture.std() for picture in total])
    assert torch.allclose(drawn(torch.Size(shape), multires_iterations=2, multires_discount=d), expected, atol=1e-6)


def test_each_iteration_counts_until_the_coarsest_is_one_pixel():
    found = [drawn(multires_iterations=n, multires_discount=0.8) for n in (0, 1, 2, 16)]
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(found))
    assert all(torch.isfinite(value).all() for value in found)


def test_pictures_do_not_share_their_scale():
    one, two = drawn(torch.Size([1, 4, 8, 8]), multires_iterations=3), drawn(multires_iterations=3)
    assert math.isclose(float(one.std()), 1, abs_tol=1e-5) and math.isclose(float(two[3].std()), 1, abs_tol=1e-5)
