"""Each optimizer learns, obeys the recipe's settings, and is saved as it means to be used."""

import importlib.util

import pytest
import torch

from sdft_ext.method.base import ParameterGroup
from sdft_ext.randomness import generator
from sdft_ext.recipe import RecipeError, TrainRecipe
from sdft_ext.train.optimizers import build, evaluation_weights, optimizer_class, parse_options

RATES = {
    "adamw": 1e-2,
    "lion": 1e-2,
    "prodigy": 1.0,
    "dadaptadam": 1.0,
    "adafactor": 5e-2,
    "came": 1e-2,
    "adamw_schedule_free": 2e-2,
}


def problem():
    """Least squares: 16 × 8 weights and a bias, learned from 64 examples."""
    draws = generator(3, "problem")
    inputs, answer = torch.randn(64, 8, generator=draws), torch.randn(8, 16, generator=draws)
    weight = torch.nn.Parameter(torch.randn(16, 8, generator=draws) * 0.1)
    bias = torch.nn.Parameter(torch.zeros(16))

    def loss():
        return (inputs @ weight.T + bias - inputs @ answer).square().mean()

    return weight, bias, loss


def make(name, rates=None, **settings):
    weight, bias, loss = problem()
    rate = RATES[name]
    first, second = rates or (rate, rate)
    groups = [ParameterGroup("unet", [weight], first), ParameterGroup("text_encoder", [bias], second)]
    train = TrainRecipe(**{"optimizer": name, "learning_rate": rate, **settings})
    return build(groups, train), weight, bias, loss


def steps(optimizer, loss, count):
    for _ in range(count):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


def moved(name, count=10, **settings):
    optimizer, weight, bias, loss = make(name, **settings)
    steps(optimizer, loss, count)
    return torch.cat([weight.detach().flatten(), bias.detach()])


@pytest.mark.parametrize("name", RATES)
def test_every_optimizer_learns(name):
    optimizer, _, _, loss = make(name)
    before = float(loss().detach())
    steps(optimizer, loss, 150)
    with evaluation_weights(optimizer):
        assert float(loss().detach()) < 0.5 * before


@pytest.mark.parametrize("name", RATES)
def test_the_learning_rate_counts(name):
    """Also as the loop sets it: in the groups, between steps."""
    assert not torch.equal(
        moved(name), moved(name, learning_rate=RATES[name] / 2, rates=(RATES[name] / 2, RATES[name] / 2))
    )
    optimizer, weight, _, loss = make(name)
    steps(optimizer, loss, 2)
    before = weight.detach().clone()
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    if name not in ("adamw_schedule_free", "dadaptadam", "adafactor"):  # the rate is in their means already
        steps(optimizer, loss, 1)
        assert torch.equal(weight, before)


@pytest.mark.parametrize("name", [n for n in RATES if n != "prodigy"])
def test_each_group_moves_at_its_own_rate(name):
    rate = RATES[name]
    optimizer, weight, bias, loss = make(name, rates=(rate, rate / 4))
    same, weight_same, bias_same, loss_same = make(name)
    steps(optimizer, loss, 1)
    steps(same, loss_same, 1)
    start = problem()[0]
    assert torch.allclose(weight - start, weight_same - start, atol=1e-7)
    assert (bias.abs() < 0.5 * bias_same.abs()).all()


def test_prodigy_refuses_rates_that_it_can_not_tell_apart():
    with pytest.raises(RecipeError, match="text_encoder_learning_rate: prodigy"):
        make("prodigy", rates=(1.0, 0.5))
    weight, bias, _ = problem()
    groups = [ParameterGroup("unet", [weight], 1.0), ParameterGroup("text_encoder_words", [bias], 0.5)]
    with pytest.raises(RecipeError, match="method.embedding.learning_rate: prodigy"):
        build(groups, TrainRecipe(optimizer="prodigy", learning_rate=1.0))


@pytest.mark.parametrize("name", RATES)
def test_a_group_without_gradients_stays_bit_for_bit(name):
    """What stops the text encoder: no gradients, and nothing moves it, not weight decay nor momentum."""
    optimizer, weight, bias, loss = make(name, weight_decay=0.1)
    steps(optimizer, loss, 3)
    before, other = bias.detach().clone(), weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        loss().backward()
        bias.grad = None
        optimizer.step()
    assert torch.equal(bias, before) and not torch.equal(weight, other)


@pytest.mark.parametrize("name", RATES)
def test_weight_decay_pulls_towards_zero(name):
    # The adaptive ones begin with tiny steps.
    count = 60 if name in ("prodigy", "dadaptadam") else 10
    plain, decayed = moved(name, count, weight_decay=0.0), moved(name, count, weight_decay=0.5)
    assert decayed.norm() < plain.norm()


@pytest.mark.parametrize("name", RATES)
def test_options_reach_every_optimizer(name):
    option = {"came": "0.5, 0.9, 0.99"}.get(name, "0.5, 0.9")
    assert not torch.equal(moved(name), moved(name, optimizer_options={"betas": option}))


def test_options_are_typed_by_the_class():
    found = parse_options(
        {"betas": "0.9, 0.99", "eps": "1e-7", "amsgrad": "true", "foreach": "none"}, torch.optim.AdamW
    )
    assert found == {"betas": (0.9, 0.99), "eps": 1e-7, "amsgrad": True, "foreach": None}
    prodigy = parse_options({"d_coef": "2", "beta3": "0.95", "betas": "(0.9, 0.99)"}, optimizer_class("prodigy"))
    assert prodigy == {"d_coef": 2.0, "beta3": 0.95, "betas": (0.9, 0.99)} and type(prodigy["d_coef"]) is float


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"beta": "0.9, 0.99"}, "did you mean 'betas'"),
        ({"wings": "2"}, "known: betas, eps"),
        ({"betas": "0.9"}, "2 numbers"),
        ({"betas": "0.9, fast"}, "2 numbers"),
        ({"eps": "small"}, "a number such as"),
        ({"eps": "true"}, "a number such as"),
        ({"amsgrad": "3"}, "yes or no"),
        ({"betas": "0.9, 1.5"}, "AdamW can't work with these"),
        ({"lr": "1"}, "set train.learning_rate"),
        ({"weight_decay": "1"}, "set train.weight_decay"),
        ({"fused": "true", "foreach": "true"}, "AdamW can't work with these"),
    ],
)
def test_bad_options_are_refused_in_words(options, words):
    with pytest.raises(RecipeError, match=r"train\.optimizer_options") as caught:
        make("adamw", optimizer_options=options)
    assert words in str(caught.value)


def test_library_optimizers_refuse_with_a_message_too():
    with pytest.raises(RecipeError, match="did you mean 'growth_rate'"):
        make("prodigy", optimizer_options={"grow_rate": "2"})
    with pytest.raises(RecipeError, match="Lion can't work with these"):
        make("lion", optimizer_options={"betas": "2, 3"})
    with pytest.raises(RecipeError, match="momentum_dtype"):
        make("adafactor", optimizer_options={"momentum_dtype": "float32"})


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is here")
def test_eight_bit_says_what_to_install():
    with pytest.raises(RecipeError, match="-m pip install bitsandbytes"):
        optimizer_class("adamw8bit")


def test_adafactor_moves_as_the_librarys():
    """Within float32's rounding where weights are smaller than eps2, and to the bit where they aren't."""
    import pytorch_optimizer

    for scale, exact in ((1.0, True), (1e-4, False)):
        ends = []
        for kind in (optimizer_class("adafactor"), pytorch_optimizer.AdaFactor):
            draws = generator(1, "adafactor")
            weights = [torch.nn.Parameter(torch.randn(size, generator=draws) * scale) for size in ((20, 30), (50,))]
            made = kind(weights, lr=1e-3, relative_step=False, scale_parameter=False, weight_decay=0.01)
            for _ in range(5):
                for weight in weights:
                    weight.grad = torch.randn(weight.shape, generator=draws)
                made.step()
            ends.append(torch.cat([weight.detach().flatten() for weight in weights]))
        assert torch.equal(*ends) if exact else torch.allclose(*ends, rtol=1e-6, atol=1e-10)


def test_d_adaptation_finds_the_scale_of_the_problem():
    """The step size starts at 1e-6 and grows by itself to what the problem needs, the same for a halved guess."""
    found = []
    for d0 in ("1e-6", "1e-8"):
        optimizer, _, _, loss = make("dadaptadam", optimizer_options={"d0": d0})
        steps(optimizer, loss, 120)
        found.append(optimizer.param_groups[0]["d"])
        assert float(loss().detach()) < 0.1
    assert 0.1 < found[1] < 10 and found[0] == pytest.approx(found[1], rel=0.5)


def test_d_adaptation_by_hand():
    """Two steps of one weight with gradients 1 and 1: the formulas of its docstring, in plain numbers."""
    from sdft_ext.train.dadapt import DAdaptAdam

    weight = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = DAdaptAdam([weight], lr=0.5, betas=(0.9, 0.99), weight_decay=0.1, d0=0.01)
    p, d, r, s, m, v, beta = 2.0, 0.01, 0.0, 0.0, 0.0, 0.0, 0.99**0.5
    for _ in range(2):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        rate = d * 0.5
        r = beta * r + (1 - beta) * rate * s / (v**0.5 + 1e-8)
        s = beta * s + (1 - beta) * rate
        m, v = 0.9 * m + 0.1 * rate, 0.99 * v + 0.01
        p = p - rate * 0.1 * p - m / (v**0.5 + 1e-8)
        d = max(d, r / ((1 - beta) * s))
        assert float(weight.detach()) == pytest.approx(p, rel=1e-12)
        assert optimizer.param_groups[0]["d"] == pytest.approx(d, rel=1e-12)
    assert d > 0.01


def test_schedule_free_shows_its_average_and_continues_bit_for_bit():
    optimizer, weight, _, loss = make("adamw_schedule_free")
    with evaluation_weights(optimizer):  # before the first step there is no mean yet
        assert torch.equal(weight, problem()[0])
    steps(optimizer, loss, 5)
    before = weight.detach().clone()
    with pytest.raises(RuntimeError, match="inside"), evaluation_weights(optimizer):
        mean = weight.detach().clone()
        with evaluation_weights(optimizer):
            assert torch.equal(weight, mean)
        assert torch.equal(weight, mean)
        raise RuntimeError("inside")
    assert torch.equal(weight, before) and not torch.equal(mean, before)
    # x = (y - (1 - β₁)·z)/β₁, from y = β₁·x + (1 - β₁)·z (Defazio 2024, eq. 2)
    z = optimizer.state[weight]["z"]
    assert torch.allclose(mean, (before - 0.1 * z) / 0.9, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in RATES if n != "adamw_schedule_free"])
def test_other_optimizers_use_their_weights_as_they_are(name):
    optimizer, weight, _, loss = make(name)
    steps(optimizer, loss, 3)
    before = weight.detach().clone()
    with evaluation_weights(optimizer):
        assert torch.equal(weight, before)


@pytest.mark.parametrize("name", RATES)
def test_a_first_rate_of_zero_moves_nothing_and_breaks_nothing(name):
    """Warm-up begins at 0."""
    optimizer, weight, _, loss = make(name)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    steps(optimizer, loss, 1)
    assert torch.equal(weight, problem()[0])
    for group in optimizer.param_groups:
        group["lr"] = RATES[name]
    steps(optimizer, loss, 3)
    assert torch.isfinite(weight).all() and not torch.equal(weight, problem()[0])
