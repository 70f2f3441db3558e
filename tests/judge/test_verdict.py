"""From numbers to one save and one sentence: differences, copies, freedom, verdicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from sdft_ext.judge.features import see
from sdft_ext.judge.freedom import Freedom, freedom
from sdft_ext.judge.loss_rules import StableLosses, stable_losses
from sdft_ext.judge.nearness import Nearest, nearest
from sdft_ext.judge.numbers import Numbers, OfPrompt, numbers
from sdft_ext.judge.paired import difference
from sdft_ext.judge.shares import Share
from sdft_ext.judge.verdict import Verdict, verdict
from sdft_ext.model.load import load
from sdft_ext.recipe import Concept
from sdft_ext.run_folder.picture_losses import MeasuredPicture, PictureLosses
from sdft_ext.toy import demo, drawing, install, world

PROMPTS = ("a", "b", "c", "d") * 2


def save(step: int, learned: float, bleeding: float = 0.0, copied: int = 0, free: float = 1.0) -> Numbers:
    """A save of which ``learned`` and ``bleeding`` are the shares of eight pictures."""

    def scores(share: float) -> tuple[float, ...]:
        return tuple(1.0 if number < 8 * share else 0.0 for number in range(8))

    prompts = (
        OfPrompt("concept", "a sks cat", "cat", True, scores(learned)),
        OfPrompt("bleeding", "a cat", "cat", False, scores(bleeding)),
    )
    near = tuple(Nearest(0, 0.1 if number < copied else 1.0) for number in range(8))
    return Numbers(step, prompts, near, Freedom(free, free))


def judged(*saves: Numbers) -> Verdict:
    found = verdict([save(0, 0), *saves], [one.step for one in saves])
    assert found is not None
    return found


def test_copies_are_counted_among_pictures_of_captions_where_enough_are_drawn() -> None:
    """New prompts are seldom copies: of eight pictures, the four of captions tell what was learned by heart."""
    found = save(10, 1, copied=3)
    assert found.copied == Share(3, 8)
    assert replace(found, captioned=(True,) * 4 + (False,) * 4).copied == Share(3, 4)
    assert replace(found, captioned=(True,) * 3 + (False,) * 5).copied == Share(3, 8), "three are too few"
    assert replace(found, captioned=(False,) * 4 + (True,) * 4).copied == Share(0, 4)


@pytest.mark.parametrize(
    ("word", "step", "saves"),
    [
        ("learned", 30, [save(10, 0), save(20, 0.5), save(30, 1)]),
        ("learning", 30, [save(10, 0), save(20, 0.25), save(30, 0.5)]),
        ("not learned", 30, [save(10, 0), save(20, 0), save(30, 0.125)]),
        ("not learned", 30, [save(10, 0), save(20, 0), save(30, 0)]),
        ("bleeding", 20, [save(10, 0.25, 0.125), save(20, 1, 0.375), save(30, 1, 0.5)]),
        ("bleeding", 20, [save(10, 0.25, 0.25), save(20, 0.75, 0.75), save(30, 1, 1)]),
        ("not learned", 10, [save(10, 0.25, 0), save(20, 0.5, 0.75), save(30, 0.5, 0.75)]),
        ("memorized", 20, [save(10, 0), save(20, 1, 0, 3), save(30, 1, 0, 6)]),
        ("memorized", 20, [save(10, 0), save(20, 1, 0, 0, 0.1), save(30, 0.75, 0, 0, 0.1)]),
        ("overtrained", 10, [save(10, 1), save(20, 0.75), save(30, 0.125)]),
        ("overtrained", 10, [save(10, 1), save(20, 1, 0, 1), save(30, 1, 0, 8)]),
    ],
)
def test_the_word_is_that_of_the_best_save(word: str, step: int, saves: list[Numbers]) -> None:
    found = judged(*saves)
    assert (found.word, found.step) == (word, step)
    says = f"at step {step}, " if word == "not learned" else f"step {step} is the best"
    assert says in found.text and found.text.endswith((".", "it."))
    assert (found.panel != "") == (word in ("learning", "not learned", "bleeding", "memorized"))


def test_saves_that_chance_could_have_made_so_are_not_told_apart() -> None:
    found = judged(save(10, 0), save(20, 0.75), save(30, 0.875), save(40, 1))
    assert found.step == 40 and found.alike == (20, 30)
    assert "steps 20 and 30 can't be told apart from it" in found.text
    assert judged(save(10, 0), save(20, 1)).alike == ()


def test_only_saves_that_exist_are_recommended() -> None:
    saves = [save(0, 0), save(10, 1), save(20, 0.75)]
    found = verdict(saves, [20])
    assert found is not None and found.step == 20
    assert verdict(saves, []) is None and verdict(saves, [0]) is None


def test_the_best_of_many_equal_saves_is_not_called_better() -> None:
    """Saves that differ by noise alone: the best one is chosen by the same numbers."""
    draws = np.random.default_rng(4)
    words = []
    for _ in range(150):
        saves = [save(10 * n, 0) for n in range(1, 13)]
        noisy = [
            replace(one, prompts=tuple(replace(p, scores=tuple(draws.uniform(0.4, 1, 16))) for p in one.prompts))
            for one in saves
        ]
        words.append(judged(*noisy).word)
    assert words.count("overtrained") <= 0.06 * len(words), words.count("overtrained")
    assert judged(save(10, 1), save(20, 1, 0, 1)).word == "learned", "one copy more is chance"


def test_without_pictures_that_call_the_concept_there_is_no_verdict() -> None:
    uncalled = [replace(save(step, 1), prompts=save(step, 1).prompts[1:]) for step in (10, 20)]
    assert verdict(uncalled, [10, 20]) is None


def test_concepts_of_one_name_are_told_apart() -> None:
    concepts = [Concept(trigger="sks"), Concept(trigger="zwx")]
    entries = [("concept", 0, "a sks"), ("concept", 1, "a zwx"), ("bleeding", 0, "")]
    scores = [np.array(some, dtype=np.float32) for some in ((1, 0, 0), (0, 0, 0))]
    found = numbers(5, concepts, scores, entries)
    assert found is not None and found.learned == {"concept 1": (1, 1), "concept 2": (0, 1)}
    assert found.least_learned == (0, 1) and len(found.merits) == len(entries)


def test_of_equal_saves_the_earliest_is_the_best() -> None:
    assert judged(save(10, 1), save(20, 1), save(30, 1)).step == 10


@pytest.mark.parametrize(
    ("pairs", "apart"),
    [
        ([(0.0, 1.0)] * 8, True),
        ([(0.0, 1.0)] * 5 + [(1.0, 1.0)] * 3, False),
        ([(0.0, 1.0)] * 6 + [(1.0, 1.0)] * 2, True),
        ([(0.0, 1.0)] * 4 + [(1.0, 0.0)] * 4, False),
        ([(0.3, 0.3)] * 8, False),
        ([(0.0, 1.0)] * 30 + [(1.0, 0.0)] * 5, True),
    ],
)
def test_a_difference_is_told_where_signs_at_random_rarely_make_it(pairs, apart: bool) -> None:
    found = difference(pairs)
    assert found.apart == apart
    assert found.value == pytest.approx(np.mean([later - earlier for earlier, later in pairs]))


def test_chance_is_what_saves_without_any_difference_show() -> None:
    draws = np.random.default_rng(1)
    told = [difference(list(zip(*draws.random((2, 16)), strict=True))).apart for _ in range(400)]
    assert np.mean(told) <= 0.08


def drawn(shape: str, count: int, seed: int) -> list[Image.Image]:
    draws = np.random.default_rng(seed)
    return [Image.fromarray(drawing.draw(world.sample_scene(draws, shape, radii=(16.5, 20.5)))) for _ in range(count)]


def test_copies_are_near_and_new_drawings_are_not() -> None:
    model = load(str(install.CHECKPOINT))
    paths = sorted((demo.EXAMPLES / "subject" / "instance").glob("*.png"))
    instance = [Image.open(path).convert("RGB") for path in paths]
    known = see(model, instance).places
    blurred = nearest(see(model, [one.filter(ImageFilter.GaussianBlur(1)) for one in instance]).places, known)
    assert [one.picture for one in blurred] == list(range(len(instance))) and all(one.copy for one in blurred)
    fresh = nearest(see(model, drawn(world.STAR, 60, 7)).places, known)
    assert sum(one.copy for one in fresh) <= 2
    twice = np.concatenate([known, known[:3]])
    assert nearest(twice[3:4], twice)[0].distance == 0
    assert sum(one.copy for one in nearest(see(model, drawn(world.STAR, 60, 7)).places, twice)) <= 2
    assert nearest(known, known[:1]) == []


def test_freedom_is_lost_where_prompts_or_seeds_change_nothing() -> None:
    draws = np.random.default_rng(2)
    of_prompt, of_seed = {text: draws.normal(0, 2, 300) for text in "abcd"}, draws.normal(0, 1, (8, 300))
    first = np.stack([of_prompt[text] + one for text, one in zip(PROMPTS, of_seed, strict=True)]).astype(np.float32)
    scale = np.ones(300, dtype=np.float32)
    assert freedom(first, first, PROMPTS, scale) == (1, 1)
    deaf = freedom(first, of_seed.astype(np.float32), PROMPTS, scale)
    assert deaf.obedience is not None and deaf.obedience < 0.4 and deaf.variety == pytest.approx(1, abs=1e-3)
    stuck = np.stack([of_prompt[text] + 0.1 * one for text, one in zip(PROMPTS, of_seed, strict=True)])
    fixed = freedom(first, stuck.astype(np.float32), PROMPTS, scale)
    assert fixed.variety == pytest.approx(0.1, abs=0.01) and fixed.obedience == pytest.approx(1, abs=0.2)
    assert freedom(first[:1], first[:1], "a", scale) == (None, None)
    assert freedom(first[:4], first[:4], "abcd", scale).variety is None


def held_out(*losses: float) -> StableLosses:
    """Losses of held-out pictures after 10, 20 … steps, and falling ones of trained pictures."""
    return StableLosses(
        {10 * number: 1 / (1 + number) for number in range(len(losses) + 1)},
        {0: 1.0, **{10 * (number + 1): loss for number, loss in enumerate(losses)}},
    )


def test_two_saves_that_are_surely_worse_settle_it() -> None:
    assert judged(save(10, 1), save(20, 0), save(30, 0)).settled
    assert not judged(save(10, 1), save(20, 0)).settled
    assert not judged(save(10, 1), save(20, 0), save(30, 0.875)).settled
    assert not judged(save(10, 0), save(20, 0), save(30, 0)).settled  # nothing is learned yet


def test_by_the_loss_alone_the_save_nearest_to_its_minimum_is_the_best() -> None:
    found = verdict([], [15, 30, 40], held_out(0.8, 0.5, 0.6, 0.7))
    assert found is not None and (found.word, found.step) == ("overtrained", 15)
    assert "lowest at step 20" in found.text and "risen by 40%" in found.text
    still = verdict([], [15, 30, 40], held_out(0.8, 0.5, 0.52, 0.54))
    assert still is not None and (still.word, still.step) == ("fine", 15)
    falling = verdict([], [15, 30, 40], StableLosses({0: 1.0, 10: 0.5, 20: 0.4, 30: 0.3, 40: 0.2}))
    assert falling is not None and (falling.word, falling.step) == ("fine", 40)
    assert verdict([], [10]) is None and verdict([], [], held_out(1, 2)) is None
    assert verdict([], [0], held_out(1, 2)) is None


def test_a_held_out_loss_that_has_risen_is_told_beside_the_numbers() -> None:
    saves = [save(0, 0), save(10, 0), save(20, 1), save(30, 1)]
    risen = verdict(saves, [10, 20, 30], held_out(0.8, 0.5, 0.6))
    assert risen is not None and (risen.word, risen.step) == ("learned", 20) and "risen by 20%" in risen.text
    assert "risen" not in str(verdict(saves, [10, 20, 30], held_out(0.8, 0.6, 0.5)))


def test_stable_losses_are_means_of_the_pictures_without_steps_that_failed() -> None:
    pictures = tuple(MeasuredPicture(name, 0, "", name == "c") for name in "abc")
    found = PictureLosses(4, pictures, {0: (1.0, 3.0, 5.0), 10: (None, 1.0, 2.0), 20: (0.5, 1.5, 1.0)}, {})
    assert stable_losses(found) == StableLosses({0: 2.0, 20: 1.0}, {0: 5.0, 10: 2.0, 20: 1.0})
    assert stable_losses(None) == StableLosses() and StableLosses().lowest is None
