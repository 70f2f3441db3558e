"""The concepts and runs on which the judge is proved are what they say."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.judge import main, recordings
from bench.judge.compare import RunFigures, SaveFigures
from bench.judge.concepts import CONCEPTS
from bench.judge.recordings import LEVELS, NONE, Recording, read, write
from bench.judge.runs import KINDS, SAVES, runs
from bench.judge.summary import summary
from bench.judge.truth import SaveTruth, word_of, words
from sdft_ext.judge.nearness import Nearest
from sdft_ext.recipe import Concept
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run.schedule import Schedule


@pytest.mark.parametrize("name", CONCEPTS)
def test_a_concept_is_read_off_its_own_pictures_and_off_no_other_concepts(name: str, tmp_path: Path) -> None:
    concept = CONCEPTS[name]
    assert all(concept.shows(concept.rendered(12)))
    for other in CONCEPTS.values():
        assert other is concept or sum(concept.shows(other.rendered(6))) <= 1, other.name
    concept.write(tmp_path / "few", 5)
    texts = [path.read_text().strip() for path in (tmp_path / "few").glob("*.txt")]
    trigger = concept.recipe(tmp_path / "few").dataset.concepts[0].trigger
    assert len(texts) == len(list((tmp_path / "few").glob("*.png"))) == 5 and all(trigger in text for text in texts)


def test_half_of_the_concepts_are_held_out() -> None:
    parts = Counter((one.part, one.kind) for one in CONCEPTS.values())
    assert parts["held-out", "subject"] >= 3 and parts["held-out", "style"] >= 2 and parts["tuning", "style"] >= 1


def test_every_run_has_a_recipe_that_may_train_and_six_saves(tmp_path: Path) -> None:
    names = [run.name for run in runs()]
    assert len(set(names)) == len(names) >= 36 and {run.kind for run in runs()} == set(KINDS)
    for run in runs():
        recipe = run.recipe(tmp_path, tmp_path)
        recipe_file.validate(recipe)
        schedule = Schedule(recipe, 10, recipe.train.length)
        assert len(schedule.saves_before_the_end) + 1 == SAVES, run.name


def test_the_command_lists_its_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == [run.name for run in runs()]


def test_without_recordings_a_replay_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match="no recordings of held-out concepts"):
        main(["--replay"])


def figures(*saves: SaveFigures, **more: Any) -> RunFigures:
    known = {"recommended": 2, "behind": 0.0, "last_behind": 0.0, "last_is_best": True, "verdict": "learned"}
    known |= {"truth": "learned", "right": ("learned",), "training_loss_spearman": math.nan, **more}
    return RunFigures("run", "held-out", "good", 16, saves, **known)


def test_errors_and_ranks_are_those_of_the_saves() -> None:
    one = figures(SaveFigures(1, 0.0, 0.1, 0.0, 0.0, 0.0, 0.1), SaveFigures(2, 0.5, 0.4, 0.2, 0.0, 0.3, 0.4))
    assert one.learned_error == pytest.approx(0.1) and one.bleeding_error == pytest.approx(0.1)
    assert one.learned_spearman == pytest.approx(1.0)
    assert math.isnan(one.bleeding_spearman)  # the judge says the same of both


def test_the_summary_counts_what_was_right() -> None:
    good = figures(SaveFigures(1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), SaveFigures(2, 1.0, 0.9, 0.0, 0.0, 1.0, 0.9))
    wrong = figures(*good.saves, behind=0.2, last_behind=0.3, last_is_best=False, verdict="bleeding")
    ended = figures(recommended=None, behind=math.nan, last_behind=math.nan, verdict="diverged", truth="learned")
    found = summary([good, wrong, ended])
    assert found["runs"] == 3 and found["recommended_within"] == 0.5 and found["last_save_within"] == 0.5
    assert found["verdict_right"] == pytest.approx(1 / 3) and found["false_diverged"] == 1
    assert found["learned_error"] == pytest.approx(0.05) and found["learned_spearman"] == pytest.approx(1.0)
    assert found["bleeding_spearman"] is None and found["last_is_best"] == 0.5 and found["verdicts"] == {"learned": 3}


def save(step: int, **shares: float) -> SaveTruth:
    return SaveTruth(step, **{"learned": 1.0, "bleeding": 0.0, "copied": 0.0, "obeyed": 1.0, "kept": 1.0, **shares})


@pytest.mark.parametrize(
    ("word", "doubt", "saves"),
    [
        ("learned", set(), [save(1, learned=0.2), save(2)]),
        ("learned", {"learning"}, [save(1, learned=0.2), save(2, learned=0.8)]),
        ("not learned", set(), [save(1, learned=0.0), save(2, learned=0.2)]),
        ("bleeding", set(), [save(1, bleeding=0.5), save(2, bleeding=0.4)]),
        ("memorized", set(), [save(1, copied=0.5), save(2, copied=0.9)]),
        ("overtrained", {"learned"}, [save(1), save(2, learned=0.8)]),
    ],
)
def test_a_run_deserves_a_verdict_and_those_that_are_nearly_as_true(
    word: str, doubt: set[str], saves: list[SaveTruth]
) -> None:
    assert word_of(saves, failed=False) == word
    assert words(saves, failed=False) == {word} | doubt


def test_a_run_that_ended_itself_was_right_where_its_model_is_broken() -> None:
    assert words([save(1, kept=0.1)], failed=True) == words([], failed=True) == {"diverged"}
    assert words([save(1)], failed=True) == {"learned"}


def test_a_recording_is_what_it_was_made_of(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    concept = Concept(name="cat", kind="subject", trigger="sks", class_word="cat")
    sizes = {"rows": 40, "details": 30}
    seen = {
        step: {part: draws.normal(0, 3, (2, count)).astype(np.float32) for part, count in sizes.items()}
        for step in (0, 5)
    }
    own = {
        f"concept-0{end}": draws.normal(0, 3, (4, count)).astype("f4") for end, count in (("", 40), ("-details", 30))
    }
    dataset = {**own, "regularization": NONE, "regularization-details": NONE}
    made = Recording(
        "star-good-1",
        "finished",
        concept,
        [("concept", 0, "a sks cat"), ("bleeding", 0, "a cat")],
        dataset,
        seen,
        {0: [Nearest(1, 0.5)], 5: [Nearest(0, 0.25)]},
        [0.5, 0.25],
        [save(5, learned=0.5)],
        ["a sks shape"],
    )
    write(made, tmp_path)
    found = read(tmp_path / "star-good-1.npz")
    exact = ("name", "outcome", "concept", "entries", "nearest", "losses", "saves")
    assert all(getattr(found, name) == getattr(made, name) for name in exact)
    assert (found.of, found.kind, found.part) == ("star", "good", "tuning")
    # Half a level, of 63 for sixteen standard deviations.
    near = {
        end: 8.1 / LEVELS * np.concatenate([own[f"concept-0{end}"], seen[0][part]]).std(0)
        for part, end in (("rows", ""), ("details", "-details"))
    }
    for step, parts in seen.items():
        for part, rows in parts.items():
            assert (np.abs(found.seen[step][part] - rows) <= near["" if part == "rows" else "-details"]).all()
    for name, rows in dataset.items():
        assert found.dataset[name].shape == rows.shape
        assert not len(rows) or (np.abs(found.dataset[name] - rows) <= near[name.removeprefix("concept-0")]).all()
