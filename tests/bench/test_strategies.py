"""Ways to caption, measured: the captions say what they must, figures are compared honestly, the page is written."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from bench import methods, methods_page, strategies, strategies_page, strategy_figures, strategy_rows
from bench.strategy_figures import BASE, GROUPS, Effect, Figures, Quantity
from bench.strategy_rows import COLOUR, QUICK, STRATEGIES, Plan, Shown
from sdft_ext.judge.shares import Share
from sdft_ext.toy import badges, measure, world


def test_half_of_the_pictures_have_each_feature_and_neither_goes_with_anything() -> None:
    pictures = strategy_rows.instance()
    assert len(pictures) == 16
    crossed = Counter((shown.background, shown.badge, shown.colour == COLOUR) for shown, _ in pictures)
    assert len(crossed) == 16
    for shown, picture in pictures:
        reading = badges.read(picture)
        assert badges.has_badge(picture) == shown.badge
        assert (reading.shape, reading.colour, reading.background) == (world.STAR, shown.colour, shown.background)


def test_captions_name_the_features_or_do_not() -> None:
    for strategy in STRATEGIES.values():
        texts = strategy_rows.captions(strategy)
        assert all("sks" in text for text in texts)
        badge, colour = (sum(word in text for text in texts) for word in (badges.WORD, COLOUR))
        assert badge == colour == (8 if strategy.named else 0), strategy.name
    assert STRATEGIES["tags"].caption(Shown("red", "pink", True)) == "sks shape, red, pink background, badge"
    assert STRATEGIES["sentence"].caption(Shown("red", "pink")) == "a red sks shape on a pink background"


def test_prompts_ask_for_what_they_say() -> None:
    for name, prompts in strategy_rows.at_end(24).items():
        for text, shown in prompts:
            wanted = measure.wanted(text)
            assert (wanted.shape == world.STAR) == (name in ("sentence", "asked"))
            if shown:
                assert (shown.colour, shown.background) == (wanted.colour, wanted.background)
                assert (badges.WORD in text) == (name == "asked")
    sentences = Counter(shown.colour for _, shown in strategy_rows.at_end(24)["sentence"] if shown)
    assert set(sentences.values()) == {4} and len(sentences) == 6


def test_a_difference_has_the_wider_of_two_intervals() -> None:
    alike = strategy_figures.effect([Share(0, 40)] * 3, [Share(40, 40)] * 3)
    assert alike.value == -1 and -1 <= alike.low < -0.99 and -0.99 < alike.high < -0.9 and alike.clear == -1
    apart = strategy_figures.effect([Share(2, 40), Share(20, 40), Share(38, 40)], [Share(0, 40)] * 3)
    # Student's with 2 degrees of freedom: 0.5 ± 4.303 · 0.45 / √3.
    assert apart.value == pytest.approx(0.5) and apart.low == pytest.approx(0.5 - 1.118, abs=0.001)
    assert apart.high == 1 and apart.clear == 0
    # Newcombe 1998, table II, row (a), method 10: 56 of 70 and 48 of 80.
    one = strategy_figures.effect([Share(56, 70)], [Share(48, 80)])
    assert (round(one.low, 4), round(one.high, 4)) == (0.0524, 0.3339)


def run(star: int, badge: int = 0, steps: tuple[int, ...] = (50, 100)) -> dict[str, object]:
    group = {"of": 10, "star": star, "badge": badge, "colour": 5, "obeyed": 5}
    early = {**group, "star": star // 2}
    saves = {str(steps[0]): dict.fromkeys(GROUPS[:3], early), str(steps[1]): dict.fromkeys(GROUPS, group)}
    return {"saves": saves, "settings": {}, "seconds": 1, "machine": "a machine"}


def test_steps_are_counted_between_saves() -> None:
    figures = Figures({"class": {1: run(10), 2: run(8), 3: run(6)}})
    assert figures.steps_to("class", "own") == [pytest.approx(80), pytest.approx(100), None]
    assert figures.share(Quantity("class", "own", "star")) == Share(24, 30)
    assert figures.share(Quantity("class", "own", "star", "all")) == Share(36, 60)
    figures = Figures({"class": {1: run(10), 2: run(16), 3: run(6)}})
    assert figures.learned_at("class") == [100, 50, 100]
    assert figures.share(Quantity("class", "class word", "star", "learned")) == Share(24, 30)


def figures_of(badge: dict[str, int], regularized: bool = False) -> Figures:
    names = [BASE, *STRATEGIES, *([row.name for row in strategy_rows.rows(True)] if regularized else [])]
    return Figures({name: {seed: run(9, badge.get(name, 0)) for seed in (1, 2, 3)} for name in names})


def claims(figures: Figures) -> dict[str, list[str]]:
    """Compared → the other cells."""
    table = strategies_page.section(figures).partition("| claim | ")[2].splitlines()[2:]
    rows = [line.removesuffix(" |").split(" | ") for line in table if line.startswith("|")]
    return {row[1]: row[2:] for row in rows}


def test_each_claim_is_judged_by_its_interval() -> None:
    badge = {"class": 5, "tags": 0, "tags-unnamed": 8, "sentence": 9, "sentence-regularized": 0}
    badge["sentence-unnamed-regularized"] = 8
    one, both = claims(figures_of(badge)), claims(figures_of(badge, regularized=True))
    tags = "badge by the trigger alone: tags that name it, and that don't"
    sentences = "badge by the trigger alone: sentences that name it, and that don't"
    assert one[tags][0] == "0.00, 0.80" and one[tags][1].startswith("-0.80 (-0.9") and one[tags][2] == "seen"
    assert one[sentences][2] == "the opposite" and both[sentences][:3] == one[sentences]
    assert both[sentences][3] == "0.00, 0.80" and both[sentences][5] == "seen"
    assert one["green by the trigger alone: tags that name it, and that don't"][2] == "not seen here"
    assert {len(cells) for cells in one.values()} == {3} and {len(cells) for cells in both.values()} == {6}
    page = strategies_page.section(figures_of(badge, regularized=True))
    assert strategies_page.NOT_YET not in page and strategies_page.NOT_YET in strategies_page.section(figures_of(badge))
    assert page.count("| Sentence, features named |") == 2 * 4 + 1


def test_the_page_says_how_many_runs_there_are() -> None:
    figures = figures_of({BASE: 2})
    three = " ".join(strategies_page.section(figures).split())
    one = " ".join(
        strategies_page.section(Figures({name: {1: runs[1]} for name, runs in figures.runs.items()})).split()
    )
    assert (
        "3 runs with different seeds" in three
        and "Student's" in three
        and "Of 150 pictures that the untrained base drew, it saw a badge in 30" in three
    )
    assert "Each row is one run" in one and "so far there is one" in one and "Student's" not in one


def test_the_page_in_docs_has_the_section() -> None:
    assert strategies_page.existing(methods.DOCS / "methods.md")
    assert methods_page.page({}).endswith("\n\n" + strategies_page.not_measured())


def test_the_section_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    page, figures = tmp_path / "methods.md", figures_of({})
    page.write_text("# Methods\n\nText.\n\n## Other\n\nMore.\n")
    strategies_page.write_section(figures, tmp_path)
    once = page.read_text()
    strategies_page.write_section(figures, tmp_path)
    assert page.read_text() == once and once.startswith("# Methods\n\nText.\n\n## Other\n\nMore.\n\n## Ways")
    page.write_text(once + "\n## Last\n\nEnd.\n")
    strategies_page.write_section(figures_of({"class": 5}), tmp_path)
    assert page.read_text().endswith("\n\n## Last\n\nEnd.\n") and page.read_text().count(strategies_page.TITLE) == 1
    # The table of methods, written anew, keeps it.
    methods_page.write_page(tmp_path / "empty", tmp_path)
    assert strategies_page.existing(page) in page.read_text() and "## Last" not in page.read_text()


def test_a_clear_difference_is_one_whose_interval_leaves_zero_out() -> None:
    assert [Effect(0.1, low, high).clear for low, high in ((0.01, 0.2), (-0.1, 0.2), (-0.3, -0.01))] == [1, 0, -1]


@pytest.mark.slow
def test_runs_are_trained_measured_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of few steps and two strategies; the rest as ever. What is measured is not made again."""
    for name in set(STRATEGIES) - {"class", "sentence"}:
        monkeypatch.delitem(STRATEGIES, name)
    monkeypatch.setattr(strategies, "QUICK", Plan(2, 1, QUICK.pictures, 1))
    monkeypatch.setattr(strategies_page, "CLAIM_LIST", strategies_page.CLAIM_LIST[1:2])
    there = ["--quick", "--work", str(tmp_path / "work"), "--docs", str(tmp_path), "--json", str(tmp_path / "all.json")]
    assert strategies.main(there) == 0
    runs = json.loads((tmp_path / "all.json").read_text())["strategies"]
    assert set(runs) == {BASE, "class", "sentence", "class-regularized", "sentence-regularized"}
    assert list(runs["class"]["1"]["saves"]) == ["1", "2"]
    assert list(runs["sentence-regularized"]["1"]["saves"]) == ["2", "4", "5"]
    assert runs["class"]["1"]["saves"]["2"]["asked"]["of"] == QUICK.pictures
    assert runs["class"]["1"]["settings"]["captions"] != runs["sentence"]["1"]["settings"]["captions"]
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("figures.json")}
    page = (tmp_path / "methods.md").read_text()
    assert strategies.main(there) == 0
    assert {path: path.stat().st_mtime_ns for path in made} == made and (tmp_path / "methods.md").read_text() == page
    assert page.count("| Sentence, features named |") == 2 * 4 + 1
    # A run of other settings is made anew.
    assert not strategies.is_measured(
        strategies.read_figures(tmp_path / "work"), strategy_rows.rows(False)[0], 1, Plan(3, 1, QUICK.pictures, 1)
    )
