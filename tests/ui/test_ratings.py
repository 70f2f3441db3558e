"""From a rating to its place: control pictures are rated, and lead to captions, settings, sections and saves."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

import pytest

from .page import panel, scrolls_sideways, short_example, start, state

pytestmark = pytest.mark.slow


def trained(page: Any, server: Any, name: str) -> str:
    panel(page, "train")
    short_example(page, name, watch__pictures="2")
    start(page)
    state(page, "finished")
    return str(server.ask("runs")["runs"][0]["id"])


def open_run(page: Any, run: str) -> None:
    panel(page, "evaluate")
    page.locator("[data-action=run]").locator("visible=true").select_option(run)


def found(page: Any) -> Any:
    return page.locator(".sdft-captions [data-role=found]")


def test_a_rating_leads_to_the_captions_with_and_without_the_word(open_page: Any, server: Any) -> None:
    page = open_page()
    run = trained(page, server, "rated")
    page.locator(".sdft-monitor [data-action=rate-picture]").first.click()
    dialog = page.locator("dialog[open]")
    dialog.locator("[data-action=rate][data-rating=feature]").click()
    dialog.locator("[data-rating=feature][aria-pressed=true]").wait_for()
    assert "Name it in their captions" in dialog.inner_text()
    dialog.locator("[data-lead='captions:with']").click()
    dialog.get_by_text("Enter the word for what is unwanted first.").wait_for()
    dialog.locator("[data-action=rating-word]").fill("red")
    dialog.locator("[data-lead='captions:with']").click()
    page.wait_for_selector("[role=tab][data-panel=captions][aria-selected=true]")
    assert page.locator("dialog[open]").count() == 0
    found(page).get_by_text("4 of 12 pictures").wait_for()
    assert page.locator("[data-action=filter-text]").input_value() == "red"

    open_run(page, run)
    group = page.locator("[data-role=ratings] .sdft-rating-group[data-rating=feature]")
    group.get_by_text("Unwanted feature (1 picture)").wait_for()
    group.locator("[data-action=rating-word]").fill("red")
    group.locator("[data-lead='captions:without']").click()
    page.wait_for_selector("[role=tab][data-panel=captions][aria-selected=true]")
    found(page).get_by_text("8 of 12 pictures").wait_for()

    open_run(page, run)
    group.locator("[data-action=rate-picture]").click()
    page.locator("dialog[open] [data-action=rate][data-rating=feature]").click()
    page.locator("dialog[open] [data-rating=feature][aria-pressed=false]").wait_for()
    page.locator("dialog[open] [aria-label=Close]").click()
    group.wait_for(state="detached")
    assert server.ask(f"runs/{run}/ratings")["given"] == []


def test_ratings_lead_to_sections_settings_and_saves(open_page: Any, server: Any) -> None:
    page = open_page()
    run = trained(page, server, "led")
    token = server.ask("session")["token"]
    for number, rating in ((0, "unprompted"), (1, "burned")):
        server.ask(f"runs/{run}/ratings", {"set": "bleeding", "number": number, "step": 6, "rating": rating}, token)
    open_run(page, run)
    ratings = page.locator("[data-role=ratings]")

    def follow(rating: str, lead: str) -> None:
        ratings.locator(f"[data-rating={rating}] [data-lead='{lead}']").click()

    follow("unprompted", "section:regularization")
    page.wait_for_selector("[role=tab][data-panel=dataset][aria-selected=true]")
    open_run(page, run)
    follow("burned", "section:report")
    page.locator("[data-section=report] [data-role=counts]").wait_for()
    open_run(page, run)
    follow("burned", "setting:train.length")
    page.wait_for_selector("[role=tab][data-panel=train][aria-selected=true]")
    page.locator('[data-path="train.length"].sdft-pointed').wait_for()
    open_run(page, run)
    follow("burned", "save:earlier")
    row = page.locator("tr.sdft-pointed")
    row.wait_for()
    assert row.locator("td").nth(2).inner_text() == "3"


def test_the_trained_words_are_drawn_and_rated(open_page: Any, server: Any) -> None:
    page = open_page()
    run = trained(page, server, "words")
    open_run(page, run)
    page.locator("[data-action=draw-words]").click()
    row = page.locator("[data-role=words] tr[data-word=red]")
    row.wait_for(timeout=240_000)  # it draws a picture with and without the trigger for each word
    assert row.locator("img").count() == 2
    assert "4 captions" in row.inner_text()
    row.locator("[data-action=rate-picture]").first.click()
    dialog = page.locator("dialog[open]")
    assert "Rate: a sks shape, red" in dialog.inner_text()
    dialog.locator("[data-action=rate][data-rating=feature]").click()
    assert dialog.locator("[data-action=rating-word]").input_value() == "red"
    dialog.locator("[aria-label=Close]").click()
    row.get_by_text("Unwanted feature").wait_for()


def test_nothing_of_the_run_before_is_offered_while_another_is_asked_for(open_page: Any, server: Any) -> None:
    """A click on "Draw every trained word" would draw those of the run before, or fail."""
    page = open_page()
    first, slow = trained(page, server, "first"), "slow"
    shutil.copytree(server.runs / first, server.runs / slow)
    asked: list[Any] = []
    page.route(f"**/runs/{slow}", lambda request: asked.append(request))
    open_run(page, first)
    draw = page.locator("[data-action=draw-words]")
    draw.wait_for()
    page.locator("[data-action=run] option[value=slow]").first.wait_for(state="attached")
    open_run(page, slow)
    page.wait_for_function("!document.querySelector('[data-action=draw-words]').checkVisibility()")
    assert page.locator("[data-save]").count() == 0 and asked
    for request in asked:
        request.continue_()
    draw.wait_for()
    page.locator("[data-save]").first.wait_for()


def test_single_pictures_are_sorted_and_lead_to_their_caption(open_page: Any, server: Any) -> None:
    page = open_page()
    run = trained(page, server, "single")
    open_run(page, run)
    card = page.locator("[data-role=picture-losses]")
    card.get_by_text("the run is too short").wait_for()
    folder = server.ask(f"runs/{run}")["recipe"]["dataset"]["concepts"][0]["instance"]
    pictures = [
        {"path": f"{folder}/{number:03d}.png", "concept": 0, "caption": f"caption {number}", "held_out": False}
        for number in range(1, 13)
    ]
    before, now = [0.1] * 12, [0.04 + 0.001 * number for number in range(12)]
    now[6] = 0.15
    measured = {"0": before, "6": now}
    record = {"draws": 2, "pictures": pictures, "steps": measured, "called": measured}
    (server.runs / run / "picture_losses.json").write_text(json.dumps(record))
    page.reload()
    open_run(page, run)
    rows = card.locator("tbody tr")
    rows.first.wait_for()
    assert rows.count() == 12
    assert rows.first.get_attribute("data-picture") == "007.png"
    assert "Mislabelled?" in rows.first.inner_text() and "+50 %" in rows.first.inner_text()
    card.locator("[data-sort=name]").click()
    assert rows.first.get_attribute("data-picture") == "001.png"
    assert card.locator("th[aria-sort=ascending]").count() == 1
    card.locator("[data-sort=now]").click()
    assert rows.first.get_attribute("data-picture") == "007.png"
    assert re.search(r"pictures/", rows.first.locator("img").get_attribute("src"))
    page.set_viewport_size({"width": 390, "height": 800})
    assert not scrolls_sideways(page), "a wide table is scrolled in its own box"
    page.set_viewport_size({"width": 1280, "height": 800})
    rows.first.locator("[data-action=edit-caption]").click()
    page.wait_for_selector("[role=tab][data-panel=captions][aria-selected=true]")
    found(page).get_by_text("1 of 12 pictures").wait_for()


def test_runs_are_compared_in_a_table_and_a_chart(open_page: Any, server: Any) -> None:
    page = open_page()
    runs = [trained(page, server, "one"), "another"]
    shutil.copytree(server.runs / runs[0], server.runs / runs[1])
    numbers = {"learned": [7, 8], "bleeding": [1, 8], "copied": [0, 8]}
    for run, word, learned in zip(runs, ("learned", "bleeding"), (7, 8), strict=True):
        judged = {**numbers, "learned": [learned, 8]}
        verdict = {"save": 6, "word": word, "text": f"It is {word}.", "judged": judged}
        (server.runs / run / "judge" / "verdict.json").write_text(json.dumps(verdict))
    page.reload()
    panel(page, "runs")
    card = page.locator("[data-role=judged-runs]")
    best = card.locator(f"tr[data-run='{runs[1]}']")
    best.locator("[data-role=best]").wait_for()
    assert "8 of 8" in best.inner_text() and "step 6" in best.inner_text()
    assert "learned against bleeding" in card.locator("[data-role=scatter]").get_attribute("aria-label").lower()
    best.locator("[data-action=evaluate-judged]").click()
    page.wait_for_selector("[role=tab][data-panel=evaluate][aria-selected=true]")


def test_a_run_is_measured_with_more_control_pictures(open_page: Any, server: Any) -> None:
    page = open_page()
    run = trained(page, server, "measured")
    before = server.ask(f"runs/{run}")["controls"]["prompts"]
    open_run(page, run)
    card = page.locator("[data-role=measure]")
    number = card.locator("[data-action=measure-pictures]")
    assert number.input_value() == "4", "twice as many as there are"
    number.fill(str(len(before) + 2))
    card.locator("[data-action=measure]").click()
    shown = page.locator(".sdft-save-pictures").last
    shown.get_by_text(re.compile(rf"of {len(before) + 2} show the concept")).first.wait_for(timeout=240_000)
    after = server.ask(f"runs/{run}")
    assert len(after["controls"]["prompts"]) > len(before) and after["state"] == "finished"
    assert after["recipe"]["watch"]["pictures"] == len(before) + 2
