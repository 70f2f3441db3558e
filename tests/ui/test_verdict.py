"""The judge's verdict on the page: beside the control pictures while a run trains, and on the saves."""

from __future__ import annotations

import json

import pytest

from .page import panel, short_example, start, state

pytestmark = pytest.mark.slow


def test_a_verdict_is_shown_and_its_advice_followed(open_page):
    page = open_page()
    short_example(page, "judged", watch__pictures="2")
    start(page)
    verdict = page.locator(".sdft-monitor [data-verdict]")
    verdict.wait_for()
    state(page, "finished")
    text = verdict.inner_text()
    assert "No save shows the concept yet" in text and "0 of 2 pictures with the trigger" in text
    assert verdict.get_attribute("data-verdict") == "not learned", "six steps teach nothing"
    page.click(".sdft-monitor [data-action=evaluate]")
    page.locator(".sdft-save-set").get_by_text("With the trigger: 0 of 2 show the concept").first.wait_for()
    assert page.locator("[data-role=recommended]").count() == 0
    page.locator(".sdft-save-set figure img, .sdft-save-set button img").first.click()
    page.locator("dialog [data-action=rate-picture]").last.click()
    nearest = page.locator("[data-role=nearest]")
    nearest.locator("img").wait_for()
    assert nearest.inner_text().startswith("The nearest instance picture is ")
    assert nearest.locator("img").evaluate("image => image.width === 72 && image.height === 72"), "not squeezed"
    for _ in range(2):
        page.keyboard.press("Escape")
    page.locator("[data-verdict] [data-action=follow-verdict]").locator("visible=true").click()
    page.wait_for_selector("[role=tab][data-panel=train][aria-selected=true]")


def test_the_best_save_is_marked(open_page, server):
    """Of a run that really learns: its log is that of a finished one whose verdict is known."""
    page = open_page()
    short_example(page, "marked", watch__pictures="2")
    start(page)
    state(page, "finished")
    run = server.ask("runs")["runs"][0]["id"]
    log = server.runs / run / "log.jsonl"
    told = {
        "step": 6,
        "event": "verdict",
        "word": "overtrained",
        "save": 3,
        "text": "Take that of step 3.",
        "panel": "",
    }
    log.write_text(log.read_text() + json.dumps({**told, "time": 0}) + "\n")
    page.reload()
    panel(page, "evaluate")
    page.locator("[data-action=run]").locator("visible=true").select_option(run)
    marked = page.locator("[data-role=recommended]")
    marked.wait_for()
    assert marked.count() == 1
    assert marked.locator("xpath=ancestor::tr").locator("td").nth(2).inner_text() == "3"
    assert page.locator("[data-verdict=overtrained]").locator("visible=true").inner_text() == "Take that of step 3."
