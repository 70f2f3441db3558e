"""The plan: full, balanced batches of one bucket, and a pure function of the step."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdft_ext.dataset.folder import DatasetError, Picture, Scan
from sdft_ext.dataset.plan import Plan, Sample, hold_out
from sdft_ext.recipe import Concept, DatasetRecipe, TrainRecipe

TOY = DatasetRecipe(resolution=64, bucket_step=16, bucket_min=32, bucket_max=128)


def scan_of(*groups: tuple[int, int, int, bool, int], concepts: int = 1) -> Scan:
    """Make a scan without files from groups of (count, width, height, regularization, repeats)."""
    pictures = [
        Picture(Path(f"{g}-{n}.png"), 0, reg, width, height, f"picture {g} {n}, tag", repeats, None, False, 1, 1)
        for g, (count, width, height, reg, repeats) in enumerate(groups)
        for n in range(count)
    ]
    return Scan((Concept(instance="x", class_word="dog"),) * concepts, tuple(pictures), ())


def plan_of(scan: Scan, batch_size: int = 1, dataset: DatasetRecipe = TOY, **train: object) -> Plan:
    return Plan(scan, dataset, TrainRecipe(batch_size=batch_size, **train))  # type: ignore[arg-type]


def shown(plan: Plan, steps: int, start: int = 0) -> list[list[Sample]]:
    accumulation = plan.train.accumulation
    return [plan.samples(step, micro) for step in range(start, start + steps) for micro in range(accumulation)]


def counts(batches: list[list[Sample]]) -> Counter[int]:
    return Counter(sample.picture for batch in batches for sample in batch)


SQUARE, TALL, WIDE = (64, 64), (64, 128), (128, 64)


def test_an_epoch_shows_each_picture_as_often_as_it_repeats() -> None:
    plan = plan_of(scan_of((6, *SQUARE, False, 1), (2, *TALL, False, 3)), batch_size=2)
    assert (plan.showings_per_epoch, plan.steps_per_epoch) == (12, 6)
    for epoch in range(5):
        assert counts(shown(plan, 6, 6 * epoch)) == {**dict.fromkeys(range(6), 1), 6: 3, 7: 3}


def test_regularization_pictures_without_weight_take_no_place_in_a_batch() -> None:
    scan = scan_of((4, *SQUARE, False, 1), (40, *SQUARE, True, 1), (3, *TALL, True, 1))
    assert plan_of(scan, batch_size=4).showings_per_epoch == 8
    plan = plan_of(scan, batch_size=4, prior_loss_weight=0.0)
    assert (plan.showings_per_epoch, plan.steps_per_epoch) == (4, 1)
    assert counts(shown(plan, 5)) == dict.fromkeys(range(4), 5)


def test_the_order_changes_from_epoch_to_epoch() -> None:
    plan = plan_of(scan_of((8, *SQUARE, False, 1)))
    orders = {tuple(s.picture for b in shown(plan, 8, 8 * epoch) for s in b) for epoch in range(6)}
    assert len(orders) == 6


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 7), st.sampled_from([SQUARE, TALL, WIDE, (64, 100)]), st.booleans(), st.integers(1, 3)
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 9),
    st.integers(1, 3),
    st.integers(0, 2**40),
)
def test_batches_are_full_and_fair_whatever_the_dataset(
    groups: list[tuple[int, tuple[int, int], bool, int]], batch_size: int, accumulation: int, seed: int
) -> None:
    scan = scan_of((1, *SQUARE, False, 1), *((n, *size, reg, repeats) for n, size, reg, repeats in groups))
    plan = plan_of(scan, batch_size, accumulation=accumulation, seed=seed)
    epochs = 12
    batches = shown(plan, -(-epochs * plan.showings_per_epoch // (batch_size * accumulation)))
    assert all(len(batch) == batch_size and len({s.bucket for s in batch}) == 1 for batch in batches)
    seen = counts(batches)
    passed = len(batches) * batch_size / plan.showings_per_epoch
    for index in scan.instances:
        # a bucket is at most a batch and an epoch ahead of or behind the others
        repeats = scan.pictures[index].repeats
        slack = repeats * (1 + batch_size) + batch_size + 2
        assert abs(seen[index] - repeats * passed) <= slack


def test_fair_in_the_long_run_where_buckets_do_not_fill_a_batch() -> None:
    scan = scan_of((1, *SQUARE, False, 1), (3, *TALL, False, 1), (9, *WIDE, False, 1))
    plan = plan_of(scan, batch_size=4)
    seen = counts(shown(plan, plan.steps_per_epoch * 400))
    per_picture = sum(seen.values()) / 13
    assert all(abs(n / per_picture - 1) < 0.01 for n in seen.values())


def test_a_batch_larger_than_the_dataset_shows_pictures_again() -> None:
    plan = plan_of(scan_of((3, *SQUARE, False, 1)), batch_size=8)
    assert plan.steps_per_epoch == 1
    seen = counts(shown(plan, 3))
    assert set(seen.values()) == {8}
    assert all(2 <= n <= 4 for batch in shown(plan, 9) for n in counts([batch]).values())


def test_at_most_as_many_regularization_showings_as_instance_showings() -> None:
    scan = scan_of((4, *SQUARE, False, 3), (30, *SQUARE, True, 1))
    plan = plan_of(scan, batch_size=4)
    assert plan.showings_per_epoch == 24
    batches = shown(plan, 6)
    assert all(sum(s.picture >= 4 for s in batch) == 2 for batch in batches), "each batch holds half of each"
    seen = counts(shown(plan, 6 * 5))
    regularization = [seen[i] for i in range(4, 34)]
    assert regularization == [2] * 30, "60 showings in 5 epochs: each picture twice"
    first, second = counts(batches), counts(shown(plan, 6, 6))
    assert not {i for i in first if i >= 4} & {i for i in second if i >= 4}, "others come first"


def test_fewer_regularization_pictures_are_not_repeated_beyond_their_repeats() -> None:
    plan = plan_of(scan_of((10, *SQUARE, False, 1), (2, *SQUARE, True, 2)))
    assert plan.showings_per_epoch == 14
    seen = counts(shown(plan, 14))
    assert seen[10] == seen[11] == 2


def test_every_regularization_picture_is_shown_eventually_even_in_rare_buckets() -> None:
    scan = scan_of((2, *SQUARE, False, 1), (38, *SQUARE, True, 1), (1, *TALL, True, 1), (1, *WIDE, True, 1))
    plan = plan_of(scan)
    seen = counts(shown(plan, plan.steps_per_epoch * 40))
    assert all(1 <= seen[i] <= 3 for i in range(2, 42))
    assert seen[0] + seen[1] == pytest.approx(80, abs=4)


def test_rare_buckets_take_turns_instead_of_all_coming_in_one_epoch() -> None:
    dataset = replace(TOY, bucket_step=8, no_upscale=True)
    plan = plan_of(scan_of((2, 40, 40, False, 1), *((1, 40, 40 + 8 * n, True, 1) for n in range(5))), 1, dataset)
    assert len(plan.queues) == 5
    per_epoch = [plan._before(epoch + 1) - plan._before(epoch) for epoch in range(20)]
    assert set(per_epoch) == {4}


def test_buckets_come_in_a_new_order_each_epoch() -> None:
    plan = plan_of(scan_of((1, *SQUARE, False, 4), (1, *TALL, False, 4)))
    orders = {tuple(s.bucket.height for b in shown(plan, 8, 8 * epoch) for s in b) for epoch in range(8)}
    assert len(orders) > 4


def test_concepts_keep_their_own_balance() -> None:
    base = scan_of((4, *SQUARE, False, 1), (9, *SQUARE, True, 1), (6, *SQUARE, False, 1), concepts=2)
    pictures = tuple(replace(p, concept=1) if p.path.name.startswith("2-") else p for p in base.pictures)
    plan = plan_of(replace(base, pictures=pictures))
    assert plan.showings_per_epoch == 4 + 4 + 6


@pytest.mark.parametrize(
    ("length", "unit", "steps"), [(7, "steps", 7), (3, "epochs", 9), (21, "pictures", 6), (20, "pictures", 5)]
)
def test_length(length: int, unit: str, steps: int) -> None:
    plan = plan_of(scan_of((10, *SQUARE, False, 1)), 2, accumulation=2, length=length, length_unit=unit)
    assert plan.steps_per_epoch == 3 and plan.total_steps == steps


def test_accumulation_continues_with_the_same_batches() -> None:
    scan = scan_of((5, *SQUARE, False, 1), (3, *TALL, False, 1))
    plain, gathered = plan_of(scan, 2), plan_of(scan, 2, accumulation=3)
    assert shown(plain, 12) == shown(gathered, 4)


def test_mirroring_takes_its_share_and_leaves_the_rest_alone() -> None:
    scan = scan_of((5, *SQUARE, False, 1), (5, 64, 100, False, 1))
    dataset = replace(TOY, crop="random", shuffle_tags=True)
    plain, mirrored = plan_of(scan, 2, dataset), plan_of(scan, 2, replace(dataset, flip=0.3))
    flips = [s.flip for batch in shown(mirrored, 400) for s in batch]
    assert sum(flips) / len(flips) == pytest.approx(0.3, abs=0.06)
    assert not any(s.flip for batch in shown(plain, 50) for s in batch)
    without = [[replace(s, flip=False) for s in batch] for batch in shown(mirrored, 50)]
    assert without == shown(plain, 50)


def test_random_crops_move_and_stay_inside() -> None:
    plan = plan_of(scan_of((2, 64, 100, False, 1)), 2, replace(TOY, crop="random", buckets=False))
    places = {s.geometry.y for batch in shown(plan, 60) for s in batch}
    assert len(places) > 15 and min(places) >= 0 and max(places) <= 36
    assert all(s.geometry.x == 0 for batch in shown(plan, 20) for s in batch)


def test_the_seed_changes_the_order() -> None:
    scan = scan_of((12, *SQUARE, False, 1))
    assert shown(plan_of(scan, 4, seed=1), 6) != shown(plan_of(scan, 4, seed=2), 6)


def test_held_out_pictures_are_not_shown() -> None:
    scan = scan_of((10, *SQUARE, False, 1), (5, *SQUARE, True, 1))
    held = hold_out(scan, 0.2, seed=3)
    assert len(held) == 2 and held == hold_out(scan, 0.2, seed=3) and set(held) <= set(range(10))
    plan = Plan(scan, TOY, TrainRecipe(), held)
    assert not set(held) & set(counts(shown(plan, 100)))
    assert plan.showings_per_epoch == 8 + 5
    assert hold_out(scan, 0.0, seed=3) == [] and len(hold_out(scan, 0.01, seed=3)) == 1
    assert hold_out(scan_of((1, *SQUARE, False, 1)), 0.5, seed=3) == []


def test_fixed_samples_have_nothing_random() -> None:
    scan = scan_of((3, 64, 100, False, 1))
    dataset = replace(TOY, crop="random", flip=0.5, shuffle_tags=True, caption_dropout=0.9, buckets=False)
    sample = plan_of(scan, 1, dataset).fixed_sample(1)
    assert (sample.geometry.y, sample.flip, sample.caption) == (18, False, "picture 0 1, tag")


def test_all_captions() -> None:
    scan = scan_of((2, *SQUARE, False, 1), (1, *SQUARE, True, 1))
    words = ["picture 0 0, tag", "picture 0 1, tag", "picture 1 0, tag"]
    assert plan_of(scan).all_captions() == words
    for dropout in ("caption_dropout", "regularization_caption_dropout"):
        assert plan_of(scan, dataset=replace(TOY, **{dropout: 0.1})).all_captions() == ["", *words]
    assert plan_of(scan, dataset=replace(TOY, shuffle_tags=True)).all_captions() == []


def test_repeats_beyond_reason_are_refused() -> None:
    with pytest.raises(DatasetError, match="repeats"):
        plan_of(scan_of((3, *SQUARE, False, 10_000_000)))


BUSY = replace(TOY, crop="random", flip=0.5, shuffle_tags=True, tag_dropout=0.2, caption_dropout=0.1)


def as_json(batches: list[list[Sample]]) -> str:
    return json.dumps([[(s.picture, s.flip, s.caption, s.geometry.x, s.geometry.y) for s in b] for b in batches])


def busy_plan() -> Plan:
    groups = [(5, *SQUARE, False, 2), (3, 64, 100, False, 1), (17, *SQUARE, True, 1), (2, *WIDE, True, 1)]
    return plan_of(scan_of(*groups), 4, BUSY, accumulation=2, seed=11)


def test_a_step_does_not_depend_on_what_was_asked_before() -> None:
    plan = busy_plan()
    forward = {step: shown(plan, 1, step) for step in range(200)}
    for step in (199, 7, 123, 7, 0, 64):
        assert shown(plan, 1, step) == forward[step]
        assert shown(busy_plan(), 1, step) == forward[step]


def test_another_process_gives_the_same_batches() -> None:
    code = (
        "import importlib.util, sys; "
        f"spec = importlib.util.spec_from_file_location('plans', {__file__!r}); "
        "m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m); "
        "sys.stdout.write(m.as_json(m.shown(m.busy_plan(), 3, 7)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == as_json(shown(busy_plan(), 3, 7))


def test_the_global_generators_are_left_alone() -> None:
    import random

    import numpy as np

    before = (random.getstate(), np.random.get_state()[1].tolist())
    shown(busy_plan(), 20)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def choosing(lines: tuple[str, ...], caption: str = "a {red|blue} dog", seed: int = 1) -> Plan:
    """A plan of one picture with several captions, or one with a wildcard."""
    found = scan_of((1, *SQUARE, False, 1))
    picture = replace(found.pictures[0], caption=" ".join(lines) or caption, lines=lines)
    dataset = replace(TOY, wildcards=True, caption_lines="choose")
    return plan_of(replace(found, pictures=(picture,)), 2, dataset, seed=seed)


@pytest.mark.parametrize("lines", [("a dog", "sks, grass"), ()])
def test_a_step_chooses_its_captions_by_the_seed_alone(lines: tuple[str, ...]) -> None:
    def texts(plan: Plan, steps: range) -> list[str]:
        return [sample.caption for step in steps for sample in plan.samples(step)]

    first = texts(choosing(lines), range(60))
    assert set(first) == {*lines} if lines else {"a red dog", "a blue dog"}
    assert 30 < first.count(first[0]) < 90
    assert texts(choosing(lines), range(40, 60)) == first[80:], "a resumed run chooses the same"
    assert texts(choosing(lines, seed=2), range(60)) != first
    assert choosing(lines).fixed_sample(0).caption == (lines[0] if lines else "a red dog")
    assert choosing(lines).all_captions() == [], "each is encoded when it is shown"


def test_wildcards_of_the_class_word_are_chosen_too() -> None:
    found = scan_of((1, *SQUARE, False, 1))
    concept = replace(found.concepts[0], trigger="sks", class_word="{dog|puppy}")
    found = replace(found, concepts=(concept,), pictures=(replace(found.pictures[0], caption="", lines=()),))
    plan = plan_of(found, 2, replace(TOY, wildcards=True))
    assert {sample.caption for step in range(30) for sample in plan.samples(step)} == {"sks dog", "sks puppy"}
    assert plan.all_captions() == []
