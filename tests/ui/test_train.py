"""The Train panel: what it says and offers before a run starts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.images import fill

from .page import field, scrolls_sideways, short_example, write

pytestmark = pytest.mark.slow

TRIGGER = "dataset.concepts.0.trigger"


def bare(page: Any, folder: Path) -> None:
    """Six pictures without captions, and a concept without a trigger and a class word."""
    fill(folder, 6)
    short_example(page, "bare")
    for path in (TRIGGER, "dataset.concepts.0.class_word"):
        write(page, path, "")
    write(page, "dataset.concepts.0.instance", str(folder))
    page.locator("[data-contents$=instance]").get_by_text("6 pictures, 0 captions").wait_for()


def test_a_run_without_any_word_is_refused_with_two_ways_on(open_page, tmp_path):
    page = open_page(width=420)
    bare(page, tmp_path / "pictures")
    summary = page.locator(".sdft-summary")
    summary.get_by_text("No picture has a caption").wait_for()
    train = page.locator("[data-action=train]")
    assert train.is_disabled() and "No picture has a caption" in (train.get_attribute("title") or "")
    assert field(page, TRIGGER).locator(".sdft-problem").is_visible()
    assert not scrolls_sideways(page)
    # A click on the suggestion is enough.
    assert field(page, TRIGGER).locator("[data-action=use-trigger]").is_visible()
    summary.locator("[data-action=use-trigger]").click()
    word = field(page, TRIGGER).locator("input").input_value()
    assert word and field(page, TRIGGER).locator("[data-action=use-trigger]").is_hidden()
    page.wait_for_selector("[data-action=train]:enabled")
    # Or captions: the panel opens with this folder.
    write(page, TRIGGER, "")
    summary.locator("[data-action=write-captions]").click()
    page.wait_for_selector("[role=tab][data-panel=captions][aria-selected=true]")
    page.get_by_text("000.png").first.wait_for()
    assert page.locator("[role=tabpanel]:visible .sdft-input").first.input_value() == str(tmp_path / "pictures")


def test_a_path_that_was_copied_with_quotes_is_a_path(open_page, tmp_path):
    fill(tmp_path / "my cats", 3)
    page = open_page()
    instance = "dataset.concepts.0.instance"
    write(page, instance, f'"{tmp_path / "my cats"}"')
    page.locator("[data-contents$=instance]").get_by_text("3 pictures, 0 captions").wait_for()
    field(page, instance).locator("input").first.press("Tab")
    assert field(page, instance).locator("input").first.input_value() == str(tmp_path / "my cats")


def test_pictures_are_uploaded_where_the_run_is_set_up_and_never_into_the_example(open_page, server, tmp_path):
    page = open_page()
    upload = page.locator("[data-role=train-upload]")
    assert upload.locator("[data-action=train-choose-files]").is_visible(), "nothing is chosen yet"
    page.click("[data-action=example]")
    page.locator("[data-contents$=instance]").get_by_text("12 pictures, 12 captions").wait_for()
    example = Path(field(page, "dataset.concepts.0.instance").locator("input").first.input_value())
    before = sorted(path.name for path in example.iterdir())
    upload.get_by_text("They go into a new folder next to the runs.").wait_for()
    page.set_input_files("[data-action=train-files]", fill(tmp_path / "mine", 4))
    page.locator("[data-contents$=instance]").get_by_text("4 pictures, 0 captions").wait_for()
    page.locator("[data-role=train-uploaded]").get_by_text("4 pictures added to").wait_for()
    folder = Path(field(page, "dataset.concepts.0.instance").locator("input").first.input_value())
    assert folder.parent == server.runs / "datasets"
    # Now that the folder is the user's own, further pictures join them.
    page.set_input_files("[data-action=train-files]", fill(tmp_path / "more", 2, first=50))
    page.locator("[data-contents$=instance]").get_by_text("6 pictures, 0 captions").wait_for()
    assert sorted(path.name for path in example.iterdir()) == before


INTERNAL = re.compile(r"\b[a-z]+_[a-z_]+\b|\b(?:train|method|dataset|save|watch|model)\.[a-z]")
"""Names of settings and choices in a recipe's file, such as ``textual_inversion`` and ``method.lora.rank``."""


def test_no_method_is_described_in_internal_names_or_warned_of_what_nobody_set(open_page):
    page = open_page()
    page.click("[data-action=example]")
    methods = field(page, "method.name").locator("input").evaluate_all("nodes => nodes.map(node => node.value)")
    summary = page.locator(".sdft-summary")
    for trigger in ("sks", ""):
        write(page, TRIGGER, trigger)
        for method in methods:
            with page.expect_response("**/v1/calculate"):
                field(page, "method.name").locator(f"input[value={method}]").check()
            page.wait_for_selector(".sdft-summary:not([aria-busy])")
            text = summary.inner_text()
            assert not INTERNAL.search(text), (method, trigger, text)
            assert "is only used with" not in text, (method, text)
    field(page, "method.name").locator("input[value=textual_inversion]").check()
    summary.get_by_text("Trigger is empty, but there must be a word to train with Textual inversion").wait_for()
    assert summary.locator("[data-action=write-captions]").count() == 0, "captions are no word to train"
    summary.locator("[data-action=use-trigger]").click()
    page.wait_for_selector("[data-action=train]:enabled")


def test_every_method_is_compared_with_the_free_memory_and_has_its_sources(open_page):
    page = open_page(width=420)
    methods = field(page, "method.name")
    page.wait_for_function("() => [...document.querySelectorAll('[data-role=fit]')].every(n => n.textContent !== '–')")
    fits = methods.locator("[data-role=fit]").all_inner_texts()
    assert len(fits) == methods.locator("input").count() and all(
        re.fullmatch(r"[\d.]+ .B: fits", text) for text in fits
    )
    lora = methods.locator("label", has=page.locator("input[value=lora]"))
    for text in ("easy to hard", "96 %, bleeds 2.5 %", "8 GB or more"):
        assert lora.get_by_text(text).is_visible()
    links = page.locator("[data-role=method-sources] a")
    assert links.evaluate_all("all => all.every(one => one.protocol === 'https:' && one.relList.contains('noopener'))")
    assert links.count() == methods.locator("input").count() + 1
    assert not scrolls_sideways(page)


def test_train_says_which_settings_are_wrong_and_leads_to_them(open_page):
    page = open_page()
    page.click("[data-action=example]")
    page.wait_for_selector("[data-action=train]:enabled")
    write(page, "train.learning_rate", "fast")
    write(page, "method.lora.rank", "-")
    field(page, "train.learning_rate").evaluate("node => { node.closest('details').open = false; }")
    blocked, train = page.locator("[data-role=blocked]"), page.locator("[data-action=train]")
    assert train.is_disabled() and (train.get_attribute("title") or "").startswith("Learning rate: Enter a number")
    assert blocked.locator(".sdft-sentence").count() == 2
    blocked.get_by_text("Learning rate: Enter a number").click()
    page.wait_for_function(
        "() => document.activeElement.closest('[data-path]')?.dataset.path === 'train.learning_rate'"
    )
    write(page, "train.learning_rate", "1e-4")
    assert blocked.locator(".sdft-sentence").count() == 1 and train.is_disabled()
    # The other one isn't used, and isn't shown, with a method that has no rank.
    field(page, "method.name").locator("input[value=hypernetwork]").check()
    assert blocked.is_hidden()
    page.wait_for_selector("[data-action=train]:enabled")


def test_a_slow_answer_does_not_take_one_out_of_the_next_recipe(open_page, server):
    page = open_page()
    short_example(page, "slow")
    page.wait_for_selector("[data-action=train]:enabled")

    def later(route):
        page.wait_for_timeout(1500)
        route.continue_()

    page.route("**/v1/runs", lambda route: later(route) if route.request.method == "POST" else route.continue_())
    page.click("[data-action=train]")
    write(page, "save.name", "the next one")
    page.get_by_text("slow was started; the Monitor shows it.").wait_for()
    assert page.locator("[role=tab][data-panel=train]").get_attribute("aria-selected") == "true"
    assert field(page, "save.name").locator("input").input_value() == "the next one"
    server.quiet()


CHART = """async () => {
    const { LossChart } = await import(new URL('sdft/page/monitor/chart.mjs', document.baseURI).href);
    const chart = new LossChart();
    document.querySelector('.sdft-body').append(chart.node);
    const seen = [];
    const draw = async (lines) => {
        chart.add(lines);
        chart.draw();
        await new Promise((drawn) => setTimeout(drawn, 200));
        seen.push(chart.node.querySelector('[data-role=chart]').getAttribute('aria-label'));
    };
    const line = (step, loss) => ({ step, loss, smoothed: loss });
    await draw([line(1, 0.04)]);
    const canvas = chart.node.querySelector('canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let blue = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200 && data[i + 2] > data[i] + 80) blue += 1;
    await draw([line(2, 0.05)]);
    await draw([line(3, 0.5), line(4, 0.4)]);
    return { seen, blue };
}"""


def test_the_chart_opens_on_the_values_that_it_has(open_page):
    page = open_page()
    found = page.evaluate(CHART)
    assert found["blue"] > 5, "a single step is a dot"
    assert found["seen"] == [
        "Loss at steps 0 to 2, from 0 to 0.044",
        "Loss at steps 1 to 2, from 0 to 0.055",
        "Loss at steps 1 to 4, from 0 to 0.55",
    ]
