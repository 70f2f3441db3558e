"""Whether a run diverged is judged against the noise of its losses, and the same after a resume."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from sdft_ext.watch.diagnosis import Divergence, verdict


def seen(losses, check=None):
    """(index, sentence) of the first alarm, or None."""
    check = check or Divergence()
    for number, loss in enumerate(losses):
        sentence = check.seen(loss)
        if sentence:
            return number, sentence
    return None


def noisy(levels, spread, seed):
    """Losses around levels, as a batch's are: log-normal, cut where a model that guesses nothing would be."""
    draws = np.random.default_rng(seed).standard_normal(len(levels))
    return [float(level * math.exp(spread * draw)) for level, draw in zip(levels, draws, strict=True)]


@pytest.mark.parametrize("spread", [0.1, 0.3, 0.6, 1.1])
def test_runs_that_learn_are_left_alone(spread):
    for seed in range(15):
        assert seen(noisy([0.1 * (0.5 + 0.5 * math.exp(-n / 100)) for n in range(400)], spread, seed)) is None


@pytest.mark.parametrize("spread", [0.1, 0.3, 0.6, 1.1])
def test_a_hump_at_the_start_is_forgiven(spread):
    """A rate at the edge: the loss rises for a few steps and comes back."""
    for seed in range(10):
        levels = [0.02 * (3 if 2 <= n < 22 else 1.2) for n in range(200)]
        assert seen(noisy(levels, spread, seed)) is None


@pytest.mark.parametrize("first", [1, 2, 5, 10, 200])
def test_a_broken_run_is_noticed_soon(first):
    """Batches of a dozen: the level jumps from 0.02 to 0.4 after so many steps."""
    for seed in range(10):
        found = seen(noisy([0.02 if n < first else 0.4 for n in range(400)], 0.3, seed))
        assert found is not None and found[0] < first + 60
        assert "diverged" in found[1] and "learning rate" in found[1]


def test_a_broken_run_with_a_batch_of_one_is_noticed():
    for seed in range(20):
        losses = noisy([0.08] * 50, 1.1, seed) + noisy([1.2] * 100, 0.15, seed)
        assert seen(losses) is not None


def test_a_slow_rise_is_noticed():
    assert seen(noisy([0.05 * math.exp(n / 60) for n in range(400)], 0.4, 1)) is not None


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_nan_is_noticed_at_once(loss):
    found = seen([0.1, 0.1, loss])
    assert found is not None and found[0] == 2 and "learning rate" in found[1]


def test_it_continues_exactly_after_a_resume():
    losses = noisy([0.02 if n < 30 else 0.2 for n in range(200)], 0.3, 4)
    whole = seen(losses)
    assert whole is not None
    for cut in (1, 7, 25, 31, whole[0] - 1):
        before, after = Divergence(), Divergence()
        assert seen(losses[:cut], before) is None
        after.load(json.loads(json.dumps(before.state())))
        assert seen(losses[cut:], after) == (whole[0] - cut, whole[1])


RESIDUALS = {
    int(batch): np.array(found)
    for batch, found in json.loads(Path(__file__).with_name("loss_residuals.json").read_text()).items()
}
"""What is left of the loss's logarithm, of real runs at batch 1, 4 and 12, without its trend."""


def curve(batch, seed, logarithms):
    """Losses of a real run's noise around a level."""
    return [
        float(one) for one in np.exp(np.random.default_rng(seed).choice(RESIDUALS[batch], len(logarithms)) + logarithms)
    ]


STEP = np.arange(500)
STEADY = {
    "level": 0 * STEP,
    "falling": -math.log(8) * (1 - np.exp(-STEP / 80)),
    "warm-up": -math.log(4) * (1 - np.exp(-np.maximum(STEP - 100, 0) / 60)),
    "restarts": -math.log(2) * np.abs(np.sin(STEP / 500 * 3 * math.pi)),
    "twice as high from 250 on": math.log(2.1) * (STEP >= 250),
}


@pytest.mark.parametrize("batch", RESIDUALS)
@pytest.mark.parametrize("shape", STEADY)
def test_steady_runs_go_on(batch, shape):
    ended = sum(seen(curve(batch, seed, STEADY[shape])) is not None for seed in range(14))
    assert ended == 0


@pytest.mark.parametrize("batch", RESIDUALS)
def test_a_tenfold_rise_is_noticed_within_fifty_steps(batch):
    found = [seen(curve(batch, seed, math.log(10) * (np.arange(400) >= 150 + seed))) for seed in range(20)]
    assert sum(one is not None and 150 + seed <= one[0] < 200 + seed for seed, one in enumerate(found)) >= 19


@pytest.mark.parametrize("batch", RESIDUALS)
def test_a_rise_after_a_fall_is_noticed_even_to_the_first_level(batch):
    levels = -math.log(8) * np.minimum(STEP / 150, 1) + math.log(8) * (STEP >= 300)
    found = [seen(curve(batch, seed, levels)) for seed in range(20)]
    assert sum(one is not None and 300 <= one[0] < 400 for one in found) >= 19


def test_states_of_older_versions_begin_anew():
    check = Divergence()
    check.load({"first": [0.1], "last": [0.1, 0.2], "too_high": 3})
    assert check.seen(0.1) is None and check.too_high == 0


def log(losses, rate=1e-4):
    return [{"step": n + 1, "loss": loss, "lr/unet": rate} for n, loss in enumerate(losses)]


def test_verdicts():
    assert verdict(log(noisy([0.1] * 200, 0.5, 1)))[0] == "fine"
    assert verdict(log(noisy([0.1] * 200, 0.5, 1), rate=0.0))[0] == "not learning"
    assert verdict(log([0.1] * 20 + [4.0] * 100))[0] == "diverged"
    assert verdict(log([0.1, "nan"]))[0] == "diverged"
    assert verdict([])[0] == "fine"
    assert verdict(log([0.0] * 100))[0] == "fine"
