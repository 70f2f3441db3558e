"""A run on the page: from the example to the saves, watched, paused, stopped, resumed, queued, compared, thrown away."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sdft_ext.recipe import file as recipe_file

from .page import field, lines, panel, short_example, start, state, step, write

pytestmark = pytest.mark.slow
SCREENSHOTS = os.environ.get("SDFT_SCREENSHOTS", "")

LONG = {"train__length": "5000", "save__every": "0", "train__batch_size": "1"}
"""So long that no test sees its end."""


@pytest.fixture(autouse=True)
def nothing_trains_after(server):
    yield
    server.quiet()


def beyond(page, number: int) -> None:
    """Wait until the Monitor shows a later step."""
    page.wait_for_function(
        r"number => Number(/Step (\d+)/.exec(document.querySelector('[data-role=facts]').textContent)?.[1]) > number",
        arg=number,
    )


def stop(page) -> None:
    page.click(".sdft-monitor [data-action=stop]")
    state(page, "stopped")


def series(page) -> int:
    """Different colours on the chart: an empty one has next to none."""
    return page.evaluate(
        """() => {
            const canvas = document.querySelector('[data-role=chart] canvas');
            if (!canvas) return 0;
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            const found = new Set();
            for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) found.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
            return found.size;
        }"""
    )


def test_the_example_is_trained_watched_and_its_saves_are_tried_out(open_page, server):
    page = open_page()
    short_example(page, "whole", watch__validation_every="2", watch__validation_share="0.25")
    assert page.locator("[data-contents$=instance] img").count() == 12
    page.locator("[data-contents$=instance]").scroll_into_view_if_needed()  # pictures out of sight aren't fetched
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-contents$=instance] img')].every(i => i.naturalWidth)"
    )
    start(page)
    assert recipe_file.read(server.runs / "whole" / "recipe.yaml").train.length == 6
    page.wait_for_selector("[data-role=chart] canvas")
    state(page, "finished")
    assert "Step 6 of 6" in page.locator("[data-role=facts]").inner_text()
    assert page.locator(".sdft-monitor [role=progressbar]").first.get_attribute("aria-valuenow") == "100"
    assert series(page) > 3
    shown = page.locator(".sdft-legend-entry").all_inner_texts()
    assert [text.split("\n")[0] for text in shown] == [
        "Each step",
        "Smoothed",
        "Held-out pictures",
        "Training pictures",
        "Save",
        "Control pictures",
    ]
    page.locator(".sdft-legend-entry", has_text="Each step").click()
    assert page.locator(".sdft-legend-entry", has_text="Each step").get_attribute("aria-pressed") == "false"
    page.check("[data-action=log-scale]")
    assert series(page) > 3

    # Control pictures of both sets, by step, beside step 0.
    for name in ("concept", "bleeding"):
        pictures = page.locator(f"[data-set={name}] img")
        pictures.nth(1).scroll_into_view_if_needed()
        assert pictures.nth(0).get_attribute("src").endswith(f"controls/{name}/0/0")
        assert pictures.nth(1).get_attribute("src").endswith(f"controls/{name}/0/6")
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-set] img')].every(image => image.naturalWidth === 64)"
    )
    slider = page.get_by_label("Step of the control pictures")
    assert slider.get_attribute("max") == "2"
    slider.fill("0")
    assert page.locator("[data-set] [data-role=now]:visible").count() == 0, "step 0 is shown once"
    slider.fill("1")
    assert page.locator("[data-set=concept] [data-role=now] img").get_attribute("src").endswith("controls/concept/0/3")

    page.click(".sdft-monitor [data-action=evaluate]")
    boxes = page.locator("[data-save]")
    boxes.nth(2).wait_for()
    assert boxes.evaluate_all("nodes => nodes.map(node => node.dataset.save)") == ["none", "3", "6"]
    boxes.nth(1).uncheck()
    page.fill("[data-field=prompts]", "a red sks shape on a white background\na blue circle on a grey background")
    page.fill("[data-field=steps]", "2")
    page.click("[data-action=tryout]")
    page.wait_for_function("() => document.querySelectorAll('.sdft-tryout img').length === 4")
    heads = page.locator(".sdft-tryout thead th").all_inner_texts()
    assert heads == ["None", "Step 6"]
    sources = page.locator(".sdft-tryout img").evaluate_all("nodes => nodes.map(node => node.src)")
    assert len(set(sources)) == 4


def test_the_status_names_the_grid_after_the_last_step(open_page):
    page = open_page()
    short_example(page, "grid", watch__every="0", watch__sampler_steps="100")
    start(page)
    state(page, "drawing")
    page.locator(".sdft-monitor p.sdft-notice").get_by_text("Grid: step 3").wait_for()
    assert "Step 6 of 6" in page.locator("[data-role=facts]").inner_text()
    assert page.locator(".sdft-monitor [data-action]:is([data-action=pause], [data-action=save])").count() == 0
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS, "monitor-drawing.png")))
    state(page, "finished")
    grid = page.locator(".sdft-grid-picture")
    page.locator("summary", has_text="Grid of saves").click()
    page.wait_for_function("() => document.querySelector('.sdft-grid-picture').naturalWidth > 500")
    if SCREENSHOTS:
        grid.screenshot(path=str(Path(SCREENSHOTS, "monitor-grid.png")))


def test_a_reload_in_mid_run_shows_the_run_as_it_is_and_its_buttons_work(open_page, server):
    page = open_page()
    short_example(page, "reloaded", **LONG)
    start(page)
    state(page, "training")
    beyond(page, 1)
    before = step(page)
    page.reload()
    state(page, "training")
    page.wait_for_selector("[data-role=chart] canvas")
    page.wait_for_function("() => document.querySelector('[data-role=facts]').textContent.startsWith('Step')")
    assert step(page) >= before
    assert page.locator("[data-set=concept] img").count() == 2

    page.click(".sdft-monitor [data-action=pause]")
    state(page, "paused")
    page.wait_for_timeout(1500)
    held = step(page)
    page.wait_for_timeout(1500)
    assert step(page) == held
    page.click(".sdft-monitor [data-action=resume]")
    state(page, "training")

    page.click(".sdft-monitor [data-action=save]")
    page.locator(".sdft-events").get_by_text("Save", exact=False).first.wait_for(state="attached")
    steps = page.get_by_label("Step of the control pictures")
    page.click(".sdft-monitor [data-action=sample]")
    page.wait_for_function("() => document.querySelector('.sdft-slider').max === '1'")
    assert steps.input_value() == "1"  # the newest pictures are shown as they come

    stop(page)
    assert "resume goes on from there" in page.locator(".sdft-monitor p.sdft-notice").inner_text()
    done = step(page)
    page.click(".sdft-monitor [data-action=resume]")
    state(page, "training")
    beyond(page, done)
    stop(page)


def test_waiting_runs_are_reordered_and_taken_out(open_page, server):
    page = open_page()
    names = ["queue-a", "queue-b", "queue-c"]
    for name in names:
        panel(page, "train")
        short_example(page, name, **LONG)
        start(page)
        page.locator(f"[aria-label='Run'] option:has-text('{name}')").first.wait_for(state="attached")
    waiting = page.locator(".sdft-queue-name")
    page.wait_for_function("() => document.querySelectorAll('.sdft-queue-name').length === 2")
    assert waiting.all_inner_texts() == ["queue-b", "queue-c"]
    page.get_by_label("Move queue-c up").click()
    page.wait_for_function("() => document.querySelector('.sdft-queue-name').textContent === 'queue-c'")
    page.locator(".sdft-queue-item").nth(1).drag_to(page.locator(".sdft-queue-item").nth(0))
    page.wait_for_function("() => document.querySelector('.sdft-queue-name').textContent === 'queue-b'")
    assert json.loads(page.evaluate("fetch('sdft/v1/runs').then(a => a.text())"))["queue"] == ["queue-b", "queue-c"]
    for name in ("queue-b", "queue-c"):
        page.get_by_label(f"Remove {name} from the queue").click()
        page.locator(f".sdft-queue-item[data-run={name}]").wait_for(state="detached")
    page.select_option("[aria-label=Run] >> nth=0", "queue-a")
    stop(page)


def test_runs_are_compared_loaded_again_and_thrown_away(open_page, server):
    page = open_page()
    for name, rank in (("left", "4"), ("right", "6")):
        panel(page, "train")
        short_example(page, name)
        write(page, "train.length", "1")
        write(page, "method.lora.rank", rank)
        lines(page, "watch.concept_prompts", [])
        lines(page, "watch.bleeding_prompts", [])
        start(page)
        state(page, "finished")
    panel(page, "runs")
    page.check("[data-compare=left]")
    page.check("[data-compare=right]")
    page.click("[data-action=compare]")
    rank = page.locator("dialog [data-setting='method.lora.rank']")
    rank.wait_for()
    assert sorted(rank.locator("td").all_inner_texts()) == ["4", "6"]
    page.keyboard.press("Escape")

    page.click("[data-action=recipe-left]")
    page.wait_for_selector("[role=tab][data-panel=train][aria-selected=true]")
    assert field(page, "method.lora.rank").locator("input").input_value() == "4"
    panel(page, "runs")
    page.click("[data-action=trash-left]")
    page.click("dialog button:has-text('Cancel')")
    assert (server.runs / "left").is_dir()
    page.click("[data-action=trash-left]")
    page.click("dialog [data-action=confirm]")
    page.locator(".sdft-run[data-run=left]").wait_for(state="detached")
    assert not (server.runs / "left").exists()
    assert (server.runs / "right").is_dir()


def test_zooming_the_chart_holds_while_steps_come_and_goes_back(open_page):
    page = open_page()
    short_example(page, "zoomed", **LONG)
    start(page)
    state(page, "training")
    beyond(page, 12)
    over = page.locator("[data-role=chart] .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 60, steps=5)
    page.mouse.up()
    page.wait_for_selector("[data-action=zoom-out]:visible")
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    shown = page.locator(".sdft-legend-step").inner_text()
    page.wait_for_timeout(2500)
    assert page.locator(".sdft-legend-step").inner_text() == shown
    page.click("[data-action=zoom-out]")
    assert not page.locator("[data-action=zoom-out]").is_visible()
    stop(page)


def test_a_try_replaces_the_previous_try_or_the_word(open_page):
    page = open_page()
    called = page.evaluate(
        """async () => {
            const { withCalls } = await import(new URL('sdft/page/shared/prompt_calls.mjs', document.baseURI).href);
            const withCall = (prompt, call, before, word) => withCalls(prompt, [{ call, before, word }]);
            const two = (now, before) => [
                { call: now, before, word: 'sks' }, { call: `${now}-zwx`, before: before && `${before}-zwx`, word: 'zwx' },
            ];
            const words = (calls) => Object.entries(calls).map(([word, call]) => ({ call, word, before: '' }));
            return [
                withCall('a cat', '<lora:try-2:1>', '', ''),
                withCall('a <lora:try-1:0.8> cat', '<lora:try-2:1>', 'try-1', ''),
                withCall('a <lora:try-1:0.8> cat', '<hypernet:try-2:1>', 'try-1', ''),
                withCall('a SKS, asks', 'try-2', '', 'sks'),
                withCall('a (try-1:1.2), try-10', 'try-2', 'try-1', 'sks'),
                withCall('a try-2', 'try-2', 'try-2', 'sks'),
                withCalls('a ZWX by a sks', two('try-2', '')),
                withCalls('a try-1-zwx by a try-1', two('try-2', 'try-1')),
                withCalls('a (try-1-zwx:0.5)', two('try-2', 'try-1')),
                withCalls('a cat', two('try-2', 'try-1')),
                withCalls('a zwx by a sks', two('zwx sks', '')),
                withCalls('a sks dog by a sks', words({ sks: 'one', 'sks dog': 'two' })),
                withCalls('a sks (of $1)', words({ sks: '$&', 'of $1': 'b' })),
            ];
        }"""
    )
    assert called == [
        "a cat <lora:try-2:1>",
        "a <lora:try-2:1> cat",
        "a <hypernet:try-2:1> cat",
        "a try-2, asks",
        "a try-2, try-10",
        "a try-2",
        "a try-2-zwx by a try-2",
        "a try-2-zwx by a try-2",
        "a try-2-zwx",
        "a cat try-2 try-2-zwx",
        "a zwx sks-zwx by a zwx sks",
        "a two by a one",
        "a $& (b)",
    ]


def test_after_a_nan_the_message_leads_to_resuming_with_a_lower_rate(open_page, server):
    page = open_page()
    short_example(page, "nan", **{**LONG, "save__state_every": "1"})
    start(page)
    beyond(page, 1)
    stop(page)
    folder = server.runs / "nan"
    assert page.locator("[data-action=lead-on]").count() == 0
    status = json.loads((folder / "status.json").read_text())
    step = status["step"]
    message = f"The loss is NaN. Resume the run with a lower train.learning_rate: it goes on from step {step}."
    (folder / "status.json").write_text(json.dumps({**status, "state": "failed", "message": message}))
    page.wait_for_selector("[data-action=lead-on]")
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/after-nan.png")
    page.click("[data-action=lead-on]")
    page.wait_for_selector("dialog [data-resume='train.learning_rate']")
    resume = page.locator("[data-action=resume-changed]")
    assert resume.is_disabled(), "nothing is changed yet"
    rate = page.locator("dialog [data-resume='train.learning_rate'] input")
    before = rate.input_value()
    rate.fill("lots")
    assert resume.is_disabled() and "Enter" in page.locator("dialog [role=alert]:visible").inner_text()
    rate.fill("0.000123")
    assert f"It was {before}." in page.locator("dialog [data-resume='train.learning_rate']").inner_text()
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/resume-with.png")
    resume.click()
    beyond(page, step + 1)
    page.wait_for_selector("[data-action=stop]:enabled")
    stop(page)
    logged = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    rates = {line["step"] <= step: line["lr/unet"] for line in logged if "lr/unet" in line}
    assert rates[False] == pytest.approx(0.000123, rel=0.01) and rates[True] > 0.0002  # the schedule falls a little
    assert any("learning_rate is 0.000123 instead of" in str(line.get("text")) for line in logged)
    assert recipe_file.read(folder / "recipe.yaml").train.learning_rate == 0.000123


def test_a_run_is_resumed_with_other_control_prompts(open_page, server):
    page = open_page()
    short_example(page, "prompts", **LONG)
    start(page)
    beyond(page, 1)
    stop(page)
    done = step(page)
    page.click(".sdft-monitor [data-action=resume-with]")
    prompts = page.locator("dialog [data-resume='watch.concept_prompts']")
    prompts.locator("input").first.fill("a blue sks shape on a white background")
    assert "It was" in prompts.inner_text()
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/resume-with-prompts.png")
    page.route("**/resume", lambda route: route.fulfill(status=409, json={"detail": "The run trains already."}))
    open_page.refusals = True
    page.click("[data-action=resume-changed]")
    refused = page.locator("dialog [role=alert]", has_text="The run trains already.")
    refused.wait_for()
    assert refused.evaluate(
        "node => { const { x, y } = node.getBoundingClientRect(); return node.contains(document.elementFromPoint(x + 5, y + 5)); }"
    ), "nothing covers it"
    page.unroute("**/resume")
    page.click("[data-action=resume-changed]")
    page.locator("[data-set=concept]").get_by_text("a blue sks shape").wait_for()
    slider = page.get_by_label("Step of the control pictures")
    page.wait_for_function("() => document.querySelector('.sdft-slider').max === '1'")
    assert slider.get_attribute("aria-valuetext") == f"Step {done}"
    assert page.locator("[data-set=concept] img").first.get_attribute("src").endswith("controls/concept/0/0")
    page.locator("summary", has_text="Events").click()
    page.locator(".sdft-events").get_by_text("instead of “a red sks shape").wait_for()
    stop(page)
    assert (server.runs / "prompts" / f"controls-until-{done:06d}" / "index.json").is_file()


def test_stop_is_quick_and_the_grid_is_drawn_when_it_is_asked_for(open_page):
    page = open_page()
    short_example(page, "quick", **{**LONG, "watch__every": "2", "watch__sampler_steps": "100"})
    start(page)
    beyond(page, 1)
    page.click(".sdft-monitor [data-action=stop]")
    page.get_by_text("Then the device is free; Resume continues from there.").wait_for()
    state(page, "stopped", 20_000)
    grid = page.locator(".sdft-monitor details", has_text="Grid of saves")
    assert grid.is_hidden()
    draw = page.locator(".sdft-monitor [data-action=grid]")
    draw.click()
    state(page, "drawing")
    page.locator(".sdft-monitor p.sdft-notice").get_by_text("The grid of saves is being drawn.").wait_for()
    buttons = page.locator(".sdft-monitor [aria-label=Progress] button[data-action]")
    assert buttons.all_inner_texts() == ["Skip the grid"]
    page.get_by_role("button", name="Skip the grid").click()
    state(page, "stopped")
    page.locator(".sdft-monitor p.sdft-notice").get_by_text("resume goes on from there").wait_for()
    draw.click()
    state(page, "drawing")
    state(page, "stopped")
    grid.locator("summary").click()
    page.wait_for_function("() => document.querySelector('.sdft-grid-picture').naturalWidth > 200")
    assert draw.count() == 0
