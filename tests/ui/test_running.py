"""A running training shows on every panel, in the tab's title, and to a browser that comes later."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .page import panel, scrolls_sideways, short_example, start, state

pytestmark = pytest.mark.slow

SCREENSHOTS = os.environ.get("SDFT_SCREENSHOTS", "")
LONG = {"train__length": "5000", "save__every": "0"}
TITLE = r"() => /^\d+ % · Fine-tune$/.test(document.title)"


@pytest.fixture(autouse=True)
def nothing_else_runs(server):
    server.quiet()
    yield
    server.quiet()


def test_a_running_training_shows_everywhere_until_it_ends(open_page, server):
    page = open_page()
    assert page.title() == "Fine-tune"
    short_example(page, "seen", train__length="5000", save__every="0")
    start(page)
    state(page, "training")
    for name in ("dataset", "train", "guide"):
        panel(page, name)
        page.locator("[data-action=running]").get_by_text("seen · 0 %").wait_for()
    page.wait_for_function(TITLE)
    icons = "() => [...document.querySelectorAll('link[rel~=icon]')].map(link => link.href.slice(0, 14))"
    assert page.evaluate(icons) == ["data:image/png"]
    page.click("[data-action=running]")
    page.wait_for_selector("[role=tab][data-panel=monitor][aria-selected=true]")
    # Another browser opens on the Monitor; one that has begun something else isn't interrupted.
    context = page.context.browser.new_context(viewport={"width": 420, "height": 800})
    other = context.new_page()
    other.goto(open_page.address)
    other.wait_for_selector("[role=tab][data-panel=monitor][aria-selected=true]")
    state(other, "training")
    assert not scrolls_sideways(other)
    panel(other, "train")
    other.reload()
    other.wait_for_selector("[data-action=running]")
    assert other.locator("[role=tab][data-panel=train]").get_attribute("aria-selected") == "true"
    context.close()
    server.quiet()
    page.locator("[data-action=running]").wait_for(state="hidden")
    page.wait_for_function("() => document.title === 'Fine-tune'")
    assert page.evaluate("() => document.querySelector('link[rel~=icon]').href").endswith("sdft/page/icon.svg")


def test_the_end_of_a_run_is_notified_where_that_is_wanted(open_page):
    page = open_page()
    page.evaluate(
        """() => {
            window.told = [];
            window.Notification = class {
                static permission = 'granted';
                constructor(title, { body }) { window.told.push([title, body]); }
            };
        }"""
    )
    short_example(page, "told")
    start(page)
    page.check("[data-action=notify]")
    state(page, "finished")
    page.wait_for_function("() => window.told.length === 1")
    assert page.evaluate("window.told") == [["told: Finished", "Finished after 6 steps."]]


def test_the_queue_is_next_to_the_run_and_only_where_something_waits(open_page):
    page = open_page()
    panel(page, "monitor")
    assert page.locator("[aria-label=Queue]").is_hidden()
    panel(page, "train")
    for name in ("one", "two"):
        short_example(page, name, train__length="5000", save__every="0")
        start(page)
        panel(page, "train")
    panel(page, "monitor")
    queue = page.locator("[aria-label=Queue]")
    queue.get_by_text("two").wait_for()
    top = page.locator("section[aria-label=Loss]").bounding_box()["y"]
    assert queue.bounding_box()["y"] < top


def test_the_gpus_load_is_shown_while_a_run_trains(open_page):
    page = open_page()
    busy = {"load": 97, "temperature": 71, "used_mb": 18432, "total_mb": 24576}
    page.route("**/sdft/v1/device", lambda route: route.fulfill(json={"device": busy}))
    short_example(page, "load", **LONG)
    page.locator("[data-role=disk]").get_by_text("On disk it needs about").wait_for()
    start(page)
    page.get_by_text("GPU 97 % · 18.0 GB of 24.0 GB · 71 °C").wait_for()
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS, "monitor-load.png")))
    page.click(".sdft-monitor [data-action=stop]")
    state(page, "stopped")
    page.locator("[data-role=device]").wait_for(state="hidden")


def test_the_monitor_offers_to_load_base_models_where_a_run_needs_another(open_page, server):
    page = open_page()

    def another_model(route):
        answer = route.fetch()
        session = answer.json()
        session["host"]["features"] = [*session["host"]["features"], "load"]
        session["host"]["model"]["name"] = "other.safetensors"
        route.fulfill(response=answer, json=session)

    page.route("**/sdft/v1/session", another_model)
    page.reload()
    page.wait_for_selector("[data-action=train]")
    short_example(page, "queued", **LONG)
    start(page)
    offer = page.locator("[data-role=other-model]")
    offer.get_by_text("queued trains toy.safetensors, which isn't loaded.").wait_for()
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS, "monitor-other-model.png")))
    page.click("[data-action=allow-models]")
    choice = page.locator("[data-action=load-models]")
    choice.wait_for()
    assert choice.is_checked() and not offer.is_visible() and server.ask("runs")["loads"]
    choice.uncheck()
    offer.wait_for()
    assert not server.ask("runs")["loads"]
