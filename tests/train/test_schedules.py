"""Learning rates against diffusers' own, and the WebUI's step string."""

import math

import pytest
import torch

from sdft_ext.recipe import Recipe, RecipeError, TrainRecipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.advice import advice, length_advice
from sdft_ext.train.schedules import LearningRates, length, step_string

TOTAL = 40


def rates(base=2e-4, total=TOTAL, steps=None, **settings):
    train = TrainRecipe(**{"learning_rate": 2e-4, **settings})
    return [LearningRates(train, total).at(step, base) for step in range(steps or total)]


@pytest.mark.parametrize(
    ("name", "settings", "theirs"),
    [
        ("constant", {}, {}),
        ("constant_with_warmup", {"warmup": 7}, {}),
        ("linear", {"warmup": 7}, {}),
        ("linear", {}, {}),
        ("cosine", {"warmup": 7}, {}),
        ("cosine", {}, {}),
        ("cosine_with_restarts", {"warmup": 4, "cycles": 3}, {"num_cycles": 3}),
        ("cosine_with_restarts", {"cycles": 1}, {"num_cycles": 1}),
        ("polynomial", {"warmup": 5, "power": 2.5}, {"power": 2.5}),
        ("polynomial", {}, {"power": 1.0}),
    ],
)
def test_named_schedules_are_those_of_diffusers(name, settings, theirs):
    from diffusers.optimization import get_scheduler

    optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 2e-4}], lr=2e-4)
    scheduler = get_scheduler(
        name, optimizer, num_warmup_steps=settings.get("warmup", 0), num_training_steps=TOTAL, **theirs
    )
    expected = []
    for _ in range(TOTAL + 1):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates(schedule=name, steps=TOTAL + 1, **settings) == pytest.approx(expected, rel=1e-9, abs=1e-18)


def test_a_group_keeps_its_own_rate():
    assert rates(base=1e-4) == pytest.approx([rate / 2 for rate in rates(base=2e-4)])


@pytest.mark.parametrize(
    ("field", "settings", "other"),
    [
        ("learning_rate", {}, {"learning_rate": 1e-4, "base": 1e-4}),
        ("schedule", {}, {"schedule": "linear"}),
        ("warmup", {}, {"warmup": 5}),
        ("cycles", {"schedule": "cosine_with_restarts"}, {"cycles": 2}),
        ("power", {"schedule": "polynomial"}, {"power": 2.0}),
        ("schedule_steps", {"schedule": "steps", "schedule_steps": "1e-4"}, {"schedule_steps": "1e-4:5, 1e-5"}),
    ],
)
def test_every_setting_changes_the_rates(field, settings, other):
    assert rates(**settings) != rates(**{**settings, **other})


def test_the_step_string_counts_finished_steps_as_the_webui_does():
    found = rates(schedule="steps", schedule_steps="5e-4:3, 1e-4:5, 2e-5", steps=8)
    assert found == pytest.approx([5e-4] * 3 + [1e-4] * 2 + [2e-5] * 3)


def test_the_step_string_keeps_the_ratio_of_a_group():
    found = rates(base=1e-4, schedule="steps", schedule_steps="5e-4:3, 1e-4", steps=5)
    assert found == pytest.approx([2.5e-4] * 3 + [5e-5] * 2)


def test_training_ends_at_the_last_step_of_the_string():
    train = TrainRecipe(schedule="steps", schedule_steps="5e-4:3, 1e-4:5")
    assert length(train, 100) == 5 and length(train, 4) == 4
    assert rates(schedule="steps", schedule_steps="5e-4:3, 1e-4:5", steps=7)[4:] == pytest.approx([1e-4, 0, 0])
    assert length(TrainRecipe(schedule="steps", schedule_steps="5e-4:3, 1e-4"), 100) == 100
    assert length(TrainRecipe(schedule="cosine", schedule_steps="5e-4:3"), 100) == 100


def test_ways_to_write_the_step_string():
    assert step_string("1e-3") == [(1e-3, math.inf)]
    assert step_string(" 0.001 : 100 ,1e-5:-1") == [(1e-3, 100), (1e-5, math.inf)]
    assert step_string("1e-3:100,") == [(1e-3, 100)]
    assert step_string("0:10, 1e-3") == [(0, 10), (1e-3, math.inf)]


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "fast", "1e-3:", ":5", "1e-3:ten", "1e-3:2.5", "-1e-3", "nan", "inf:5", "1e-3:0", "1e-3:-2"),
        *("1e-3:200, 1e-4:100", "1e-3:100, 1e-4:100", "1e-3, 1e-4:100", "1e-3:1:2"),
    ],
)
def test_a_bad_step_string_is_refused_with_an_example(text):
    with pytest.raises(RecipeError, match=r"train\.schedule_steps.*'5e-4:200, 1e-4'"):
        step_string(text)


@pytest.mark.parametrize(
    "settings",
    [["train.schedule=constant", "train.warmup=100"], ["train.length=1000", "train.warmup=2000"]],
    ids=["a schedule without warm-up", "longer than the run"],
)
def test_a_warm_up_warms_up_and_ends_or_is_mentioned(settings):
    """unslothai/unsloth#8269; bmaltais/kohya_ss#2291."""
    recipe = recipe_file.override(Recipe(), settings)
    at = LearningRates(recipe.train, recipe.train.length).at
    warmed = at(0, 1e-4) < 1e-4 and at(recipe.train.length - 1, 1e-4) >= 6e-5
    said = [*advice(recipe), *length_advice(recipe, recipe.train.length, 10)]
    assert warmed or any("warm" in sentence for sentence in said)


@pytest.mark.parametrize("name", ["constant", "constant_with_warmup", "linear", "cosine", "polynomial"])
def test_odd_lengths_give_finite_rates_from_zero(name):
    for total, warmup in ((1, 0), (1, 5), (3, 3), (2, 10)):
        found = rates(schedule=name, total=total, warmup=warmup)
        assert all(0 <= rate <= 2e-4 for rate in found)


def test_a_rate_of_zero_stays_zero():
    for name in ("constant", "linear", "cosine", "cosine_with_restarts", "polynomial"):
        assert set(rates(base=0.0, learning_rate=0.0, schedule=name)) == {0.0}
