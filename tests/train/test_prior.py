"""Keeping the base's own answers: the formula, the base taken with the training out of the way, and the rules."""

import pytest
import torch

from sdft_ext.method import METHODS
from sdft_ext.method.base import MethodError
from sdft_ext.model import borrow, text
from sdft_ext.model.base import predict
from sdft_ext.recipe import Concept, Recipe
from sdft_ext.recipe.rules import problems
from sdft_ext.train.prior import prior, without_triggers
from tests.model import ldm

CAPTIONS = ["a red sks cat", "a sks on grass"]


@pytest.fixture(scope="module")
def model():
    family = ldm.family("sd1")
    return borrow.build(family, ldm.state_dict(family))


def recipe(name: str, **train: float) -> Recipe:
    made = Recipe()
    made.dataset.concepts = [Concept(trigger="sks", class_word="cat")]
    made.method.name = name  # type: ignore[assignment]
    made.method.lora.rank, made.method.lora.layers = 2, "attention"
    for key, value in train.items():
        setattr(made.train, key, value)
    return made


@pytest.mark.parametrize("name", ["lora", "lokr", "pivotal", "hypernetwork"])
def test_the_formula(model, name):
    """Σ w · λ(t) · |trained − base|², with the base's answer from before the method was attached, bit for bit."""
    noisy = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    times, weights = torch.tensor([100, 700]), torch.linspace(0, 2, 1000)

    def encode(prompts):
        return text.encode(model, prompts)

    def answer(noisy, times, conditioning):
        return predict(model, noisy, times, conditioning)

    prompts = (["a red cat", "a cat on grass"], ["", ""])
    with torch.no_grad():
        base = [answer(noisy, times, encode(each)) for each in prompts]
    made, method = recipe(name, class_preservation=0.5, blank_preservation=3.0), METHODS[name]()
    method.attach(model, made)
    try:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for group in method.groups():
                for value in group.parameters:
                    value.add_(0.1 * torch.randn(value.shape, generator=generator))
        found = prior(made, method, weights)
        loss = found.loss(noisy, times, CAPTIONS, encode, answer)
        wanted = 0.0
        for weight, each, kept in zip((0.5, 3.0), prompts, base, strict=True):
            with torch.no_grad():
                distance = (answer(noisy, times, encode(each)) - kept).square().mean((1, 2, 3))
            assert (distance > 0).all()
            wanted += weight * float((distance * weights[times]).mean())
        assert float(loss.detach()) == pytest.approx(wanted, rel=1e-5)
        loss.backward()
        moved = [value for group in method.groups() for value in group.parameters if value.grad is not None]
        assert moved and all(torch.isfinite(value.grad).all() for value in moved)
    finally:
        method.detach()


def test_steps_that_follow_it_come_back_to_the_base(model):
    """A LoRA that has moved away is pulled back where only the prior acts: the terms' own weights fall."""
    made, method = recipe("lora", blank_preservation=1.0), METHODS["lora"]()
    method.attach(model, made)
    try:
        generator = torch.Generator().manual_seed(1)
        parameters = [value for group in method.groups() for value in group.parameters]
        with torch.no_grad():
            for value in parameters:
                value.add_(0.3 * torch.randn(value.shape, generator=generator))
        found, optimizer = prior(made, method, torch.ones(1000)), torch.optim.AdamW(parameters, lr=2e-2)
        losses = []
        for step in range(12):
            noisy = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(step % 2))
            loss = found.loss(
                noisy,
                torch.tensor([100, 700]),
                CAPTIONS,
                lambda prompts: text.encode(model, prompts),
                lambda noisy, times, conditioning: predict(model, noisy, times, conditioning),
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.5 * losses[0], losses
    finally:
        method.detach()


@pytest.mark.parametrize(
    ("caption", "wanted"),
    [
        ("a red sks cat", "a red cat"),
        ("SKS on grass", "cat on grass"),
        ("sks cat, sks CAT", "cat, cat"),
        ("tasks and ohwx person", "tasks and woman person"),
        ("a photo", "a photo"),
        ("", ""),
    ],
)
def test_captions_without_their_triggers(caption, wanted):
    concepts = [Concept(trigger="sks", class_word="cat"), Concept(trigger="ohwx", class_word="woman"), Concept()]
    assert without_triggers(caption, concepts) == wanted


def test_a_trigger_without_a_class_word_leaves_nothing_behind():
    assert without_triggers("a sks on grass", [Concept(trigger="sks")]) == "a on grass"


@pytest.mark.parametrize(("name", "wanted"), [("pivotal", "a cat by a small dog, 1"), ("lora", "a cat by a ZWX, 1")])
def test_new_words_are_left_out_like_triggers(model, name, wanted):
    """The base doesn't know them: the words that they were initialized from take their places."""
    made, method = recipe(name, class_preservation=1.0), METHODS[name]()
    made.method.embedding.words = {"sks": "red cat", "zwx": "small dog"}
    found = prior(made, method, torch.ones(1000))
    assert list(found.terms(["a sks by a ZWX, 1"])) == [(1.0, [wanted])]
    made.dataset.concepts[0].trigger = ""
    if name == "pivotal":
        assert list(found.terms(["a sks"])) == [(1.0, ["a red cat"])]


def test_off_is_off_and_what_cannot_stand_aside_is_refused():
    assert prior(recipe("lora"), METHODS["lora"](), torch.ones(1000)) is None
    made = recipe("textual_inversion", blank_preservation=1.0)
    with pytest.raises(MethodError, match="can't give"):
        prior(made, METHODS["textual_inversion"](), torch.ones(1000))
    assert any("train.blank_preservation" in problem for problem in problems(made))
    nameless = recipe("lora", class_preservation=1.0)
    nameless.dataset.concepts[0].trigger = ""
    assert any("train.class_preservation needs a trigger" in problem for problem in problems(nameless))
