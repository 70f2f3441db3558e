"""From a batch to a loss: targets, weights, reduction, and that every setting of the recipe counts."""

import pytest
import torch

from sdft_ext.dataset.batches import Batch
from sdft_ext.randomness import generator
from sdft_ext.recipe import TrainRecipe
from sdft_ext.train import losses
from sdft_ext.train.objective import Objective

CLEAN = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)


def batch(count=4, mask=False, weight=None):
    draws = generator(5, "batch")
    shape = (count, 4, 8, 8)
    return Batch(
        latents=torch.randn(shape, generator=draws),
        captions=[""] * count,
        weight=torch.ones(count) if weight is None else torch.tensor(weight),
        mask=(torch.rand(count, 1, 8, 8, generator=draws) > 0.5).float() if mask else None,
        regularization=torch.zeros(count, dtype=torch.bool),
        time_ids=torch.zeros(count, 6),
        pictures=list(range(count)),
    )


def half(noisy, times):
    """A model that answers half of what it sees, plus a little for late timesteps."""
    return 0.5 * noisy + times[:, None, None, None] / 2000


def loss(prediction="epsilon", zero_snr=False, given=None, step=0, micro=0, predict=half, **settings):
    objective = Objective(TrainRecipe(**settings), prediction, CLEAN, zero_snr)
    return objective.loss(predict, given or batch(mask=True), step, micro)


def test_epsilon_and_v_targets():
    """A model that knows latents and noise answers rightly, and the loss is 0."""
    given = batch()
    for prediction in ("epsilon", "v_prediction"):
        objective = Objective(TrainRecipe(), prediction, CLEAN)
        added = torch.randn(given.latents.shape, generator=generator(9, "noise"))
        times = torch.tensor([0, 250, 600, 999])
        signal, sigma = (x.sqrt().float()[times, None, None, None] for x in (CLEAN, 1 - CLEAN))

        def knowing(noisy, _, signal=signal, sigma=sigma, added=added, prediction=prediction):
            assert torch.allclose(noisy, signal * given.latents + sigma * added, atol=1e-6)
            if prediction == "epsilon":
                return (noisy - signal * given.latents) / sigma
            return (signal * noisy - given.latents) / sigma  # v = √ᾱ·ε - √(1 - ᾱ)·x₀, with x₀ known

        assert objective.evaluate(knowing, given.latents, added, times).max() < 1e-6


def test_the_total_is_the_mean_of_weighted_pictures():
    given = batch(weight=[1.0, 0.5, 2.0, 0.0])
    found = loss(given=given, snr_weighting="min_snr")
    timestep_weights = losses.snr_weights(losses.snr(CLEAN), "min_snr", 5.0, "epsilon").float()[found.timesteps]
    assert torch.allclose(found.total, (found.per_picture * timestep_weights * given.weight).sum() / 4)
    assert not found.per_picture.requires_grad


def test_micro_batches_average_to_the_big_batch():
    """Two micro-batches' mean loss and gradient are those of the four pictures together."""
    gain = torch.tensor(0.5, requires_grad=True)
    objective = Objective(TrainRecipe(snr_weighting="min_snr"), "epsilon", CLEAN)
    micro = [objective.loss(lambda noisy, times: gain * noisy, batch(2), 3, number) for number in (0, 1)]
    mean = (micro[0].total + micro[1].total) / 2
    (gradient,) = torch.autograd.grad(mean, gain)

    latents = torch.cat([batch(2).latents] * 2)
    times = torch.cat([result.timesteps for result in micro])
    added = torch.cat([torch.randn(2, 4, 8, 8, generator=generator(1, "noise", 3, number)) for number in (0, 1)])
    plain = objective.evaluate(lambda noisy, t: gain * noisy, latents, added, times)
    together = (plain * objective.weights[times]).mean()
    assert torch.allclose(mean, together)
    assert torch.allclose(gradient, torch.autograd.grad(together, gain)[0])


def test_draws_are_keyed_by_seed_step_and_micro_only():
    first = loss(step=7, micro=1)
    torch.rand(10)
    again = loss(step=7, micro=1, given=batch(mask=True, weight=[3.0, 1.0, 1.0, 1.0]))
    assert torch.equal(first.timesteps, again.timesteps) and torch.equal(first.per_picture, again.per_picture)
    for other in (loss(step=8, micro=1), loss(step=7, micro=0), loss(step=7, micro=1, seed=2)):
        assert not torch.equal(first.timesteps, other.timesteps) and not torch.equal(first.total, other.total)


CHANGES = {
    "loss": [{"loss": "l1"}, {"loss": "huber"}, {"loss": "pseudo_huber"}],
    "huber_delta": [{"loss": "huber"}, {"loss": "huber", "huber_delta": 0.5}],
    "snr_weighting": [{"snr_weighting": kind} for kind in ("min_snr", "soft_min_snr", "debiased")],
    "snr_gamma": [{"snr_weighting": "min_snr"}, {"snr_weighting": "min_snr", "snr_gamma": 1.0}],
    "noise_offset": [{"noise_offset": 0.1}],
    "multires_iterations": [{"multires_iterations": 1}, {"multires_iterations": 2}],
    "multires_discount": [{"multires_iterations": 2}, {"multires_iterations": 2, "multires_discount": 0.8}],
    "input_perturbation": [{"input_perturbation": 0.1}],
    "timestep_min": [{"timestep_min": 500}],
    "timestep_max": [{"timestep_max": 500}],
    "timestep_distribution": [{"timestep_distribution": "logit_normal"}, {"timestep_distribution": "cubic"}],
    "logit_mean": [{"timestep_distribution": "logit_normal", "logit_mean": m} for m in (0.0, 1.0)],
    "logit_std": [{"timestep_distribution": "logit_normal", "logit_std": s} for s in (1.0, 0.5)],
    "masked_loss": [{"masked_loss": True}],
    "unmasked_weight": [{"masked_loss": True}, {"masked_loss": True, "unmasked_weight": 0.3}],
    "seed": [{"seed": 2}],
}


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_every_setting_changes_the_loss(field, prediction):
    given = batch(16, mask=True)  # enough that some timestep has an SNR above γ
    found = [float(loss(prediction, given=given, **settings).total) for settings in [{}, *CHANGES[field]]]
    assert len(set(found)) == len(found), f"train.{field} changes nothing: {found}"


def test_zero_terminal_snr_shows_pure_noise_last():
    seen = []

    def looking(noisy, times):
        seen.append(noisy)
        return torch.zeros_like(noisy)

    settings = {"timestep_min": 999}
    plain = loss("v_prediction", False, batch(), predict=looking, **settings)
    rescaled = loss("v_prediction", True, batch(), predict=looking, **settings)
    noise = torch.randn(4, 4, 8, 8, generator=generator(1, "noise", 0, 0))
    assert torch.equal(seen[1], noise) and not torch.equal(seen[0], noise)
    # v of pure noise is -x₀.
    assert torch.allclose(rescaled.per_picture, batch().latents.square().flatten(1).mean(1))
    assert not torch.equal(plain.per_picture, rescaled.per_picture)


@pytest.mark.parametrize("kind", ["none", "min_snr", "soft_min_snr", "debiased"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_losses_are_finite_on_a_zero_terminal_schedule(kind, prediction):
    found = loss(prediction, True, timestep_min=998, snr_weighting=kind)
    assert torch.isfinite(found.total) and torch.isfinite(found.per_picture).all()


def test_input_perturbation_shows_more_noise_but_asks_for_the_same():
    seen = []

    def looking(noisy, times):
        seen.append(noisy)
        return torch.zeros_like(noisy)

    plain, perturbed = (loss(predict=looking, input_perturbation=p).per_picture for p in (0.0, 0.2))
    assert torch.equal(plain, perturbed)  # the target, and an answer of 0, are the same
    assert seen[1].std() > seen[0].std()


def test_the_mask_counts_only_when_asked_for():
    assert torch.equal(loss(given=batch(mask=True)).total, loss(given=batch()).total)
    assert not torch.equal(loss(given=batch(mask=True), masked_loss=True).total, loss(given=batch()).total)
    assert torch.equal(loss(given=batch(), masked_loss=True).total, loss(given=batch()).total)


def test_evaluate_leaves_the_training_settings_out():
    times, added = torch.tensor([10, 400, 700, 990]), torch.randn(4, 4, 8, 8, generator=generator(2, "noise"))

    def plain(**settings):
        return Objective(TrainRecipe(**settings), "epsilon", CLEAN).evaluate(half, batch().latents, added, times)

    first = plain()
    assert first.shape == (4,)
    settings = {"snr_weighting": "min_snr", "noise_offset": 0.1, "multires_iterations": 3, "input_perturbation": 0.1}
    assert torch.equal(first, plain(**settings, timestep_max=5, seed=9))


def test_a_half_precision_answer_is_measured_in_float32():
    found = loss(predict=lambda noisy, times: half(noisy, times).bfloat16())
    assert found.total.dtype == torch.float32 and found.per_picture.dtype == torch.float32
