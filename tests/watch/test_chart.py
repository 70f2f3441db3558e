"""The loss chart: what it draws is where the numbers are."""

import math

import numpy as np
import pytest
from PIL import ImageColor

from sdft_ext.watch.chart import BOX, COLOURS, SAVE, SIZE, chart, ticks


def where(picture, colour, inside=True):
    """(x, y) of the pixels of nearly that colour, in the plot alone."""
    near = np.abs(np.asarray(picture).astype(int) - ImageColor.getrgb(colour)).sum(-1) < 40
    y, x = np.nonzero(near)
    keep = (y > BOX[1]) & (y < BOX[3]) if inside else y > 0
    return x[keep], y[keep]


def lines(steps=100, value=lambda step: 1.0, **more):
    return [{"step": s, "loss": value(s), "smoothed": value(s), **more} for s in range(1, steps + 1)]


def test_a_falling_loss_falls():
    picture = chart(lines(value=lambda step: 1 - step / 200), "Loss")
    assert picture.size == SIZE
    x, y = where(picture, COLOURS["smoothed"])
    early, late = y[x < BOX[0] + 100].mean(), y[x > BOX[2] - 100].mean()
    assert late > early + 100
    # 0.5 of a top of about 1.1
    assert late == pytest.approx(BOX[3] - (BOX[3] - BOX[1]) * 0.52 / 1.09, abs=12)


def test_validation_and_saves_are_marked():
    log = [
        *lines(),
        {"step": 50, "event": "save"},
        {"step": 50, "validation/held_out": 0.5, "validation/training": 0.25},
    ]
    picture = chart(log, "Loss")
    for name in ("validation/held_out", "validation/training"):
        x, _ = where(picture, COLOURS[name])
        assert abs(x.mean() - (BOX[0] + BOX[2]) / 2) < 3
    x, y = where(picture, SAVE, inside=False)
    marks = x[(y > BOX[1] - 15) & (y < BOX[1])]
    assert abs(marks.mean() - (BOX[0] + BOX[2]) / 2) < 3
    assert len(where(chart(lines(), "Loss"), COLOURS["validation/held_out"], inside=False)[0]) == 0


def test_one_wild_step_does_not_flatten_the_rest():
    picture = chart(lines(steps=300, value=lambda step: 1000.0 if step == 150 else 1.0), "Loss")
    _, y = where(picture, COLOURS["smoothed"])
    assert np.median(y) < BOX[1] + 100


@pytest.mark.parametrize(
    "log",
    [
        [],
        [{"step": 0, "event": "controls"}],
        [{"step": 1, "loss": "nan", "smoothed": "inf"}],
        [{"step": 1, "loss": 0.0, "smoothed": 0.0}],
        [{"step": 0, "validation/training": 0.3}],
        lines(steps=3, value=lambda step: 1e30),
        lines(steps=3, value=lambda step: 1e-30),
        lines(steps=2, value=lambda step: -1.0),
    ],
)
def test_odd_logs_give_a_chart_too(log):
    assert chart(log, "x" * 500).size == SIZE


@pytest.mark.parametrize("top", [1e-9, 0.07, 0.37, 1, 3, 99, 600, 1234567])
def test_ticks_are_few_and_round(top):
    found = ticks(top)
    assert found[0] == 0 and top * 0.6 <= found[-1] <= top * (1 + 1e-9) and 3 <= len(found) <= 6
    digits = found[1] / 10 ** math.floor(math.log10(found[1]) + 1e-9)
    assert any(math.isclose(digits, round_one) for round_one in (1, 2, 2.5, 5))
