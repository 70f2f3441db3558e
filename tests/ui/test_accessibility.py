"""The page for people who use a keyboard or a screen reader, see poorly, or enlarge it: every panel and every window is visited
once, and looked at with axe in light and dark, with the Tab key, at 200 % zoom and on a phone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from .axe import source, violations
from .captions_story import cell, opened
from .conftest import Open, Server
from .page import field, panel, short_example, start, state, write

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("accessibility.js")
PANELS = ["dataset", "captions", "train", "monitor", "runs", "evaluate", "tools", "guide"]
DESK = (1280, 900)
ZOOMED = {"at 200 % of a screen of 1280 × 800": (640, 400), "on a phone": (420, 800)}
"""Where the page must fit, in CSS pixels: a browser that enlarges to 200 % gives the page half of them."""
COLOURS = ("color-contrast", "link-in-text-block")
"""The rules that depend on light and dark."""
RING = 3.0
"""The least contrast of the ring around what has the focus (WCAG 2.1, 1.4.11)."""

Findings = dict[str, dict[str, list[str]]]
"""What is wrong, by the kind of look and the place."""


class Visitor:
    """A browser on the page, and what is found where."""

    def __init__(self, opens: Open, pictures: Path) -> None:
        opens.refusals = True
        self.page = opens()
        self.page.emulate_media(reduced_motion="reduce")
        self.pictures = pictures
        self.found: Findings = {}

    def look(self, place: str, new: str | None = None) -> None:
        """Look at what is shown now, in every way. ``new`` selects what wasn't seen before."""
        page = self.page
        wrong = tabbed(page, new)
        if wrong:  # an answer of the server may have come in between
            page.wait_for_timeout(1000)
            wrong = tabbed(page, new)
        self.note("keyboard", place, wrong)
        self.note("axe in light", place, violations(page, new))
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        self.note("axe in dark", place, violations(page, new, COLOURS))
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        self.note("clicks", place, page.evaluate("sdftTest.unreachable()"))
        for name, (width, height) in ZOOMED.items():
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(60)  # what observes sizes draws anew
            self.note(name, place, page.evaluate("sdftTest.misfits()"))
        page.set_viewport_size({"width": DESK[0], "height": DESK[1]})

    def note(self, kind: str, place: str, sentences: list[str]) -> None:
        if sentences:
            self.found.setdefault(kind, {})[place] = sentences

    def window(self, place: str, opener: Any, then: Callable[[], None] = lambda: None) -> None:
        """Look at a window that the Enter key opens on ``opener`` and Escape closes."""
        page = self.page
        opener.scroll_into_view_if_needed()
        opener.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("dialog[open]")
        then()
        page.wait_for_timeout(50)
        self.look(place, "dialog[open]")
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog[open]", state="detached")
        page.wait_for_timeout(50)
        back = opener.evaluate("node => node === document.activeElement")
        if not back:
            now = page.evaluate("document.activeElement.outerHTML.slice(0, 80)")
            self.note("keyboard", place, [f"the focus isn't where it was before the window, but on {now}"])


def tabbed(page: Any, within: str | None = None) -> list[str]:
    """Walk through everything, or what is ``within`` an element, with Tab; return what can't be reached, comes in a strange order, or doesn't show the focus."""
    names = page.evaluate("within => sdftTest.begin(within)", within)
    wrong: list[str] = page.evaluate("sdftTest.disordered()")
    places: list[int] = []
    for _ in range(len(names) + 12):
        page.keyboard.press("Tab")
        now = page.evaluate("sdftTest.focused()")
        if now is None or (now["place"] >= 0 and now["place"] in places):
            if places:
                break
            continue
        if now["place"] >= 0:
            places.append(now["place"])
        elif not now["scroller"]:
            wrong.append(f"{now['name']} has the focus outside what should have it")
        if not now["ring"] or now["contrast"] < RING:
            wrong.append(f"{now['name']} shows the focus with {now['ring']} pixels of contrast {now['contrast']:.2f}")
        if not now["inSight"]:
            wrong.append(f"{now['name']} has the focus out of sight")
        if now["stays"]:
            wrong.append(f"what is before {now['name']} shows the focus still")
    else:
        wrong.append("the Tab key doesn't come to an end")
    missed = [name for place, name in enumerate(names) if place not in places]
    wrong += [f"Tab doesn't reach {name}" for name in missed]
    return wrong if places == sorted(places) else [*wrong, f"the order is {[names[place] for place in places]}"]


@pytest.fixture(scope="module")
def found(chromium: Any, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Findings]:
    """What is wrong in all places together."""
    source()  # skips
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        Image.new("RGB", (96, 64), (40 * number, 200, 255 - 40 * number)).save(folder / f"cat {number}.png")
        (folder / f"cat {number}.txt").write_text(f"sks cat, red sofa, scene {number}")
    (folder / "cat 5.png").write_bytes((folder / "cat 4.png").read_bytes())
    server.settled()
    opens = Open(chromium, server.address, SCRIPT.read_text())
    visitor = Visitor(opens, folder)
    for tour in (train, windows_of_train, monitor, runs, evaluate, dataset, captions, rest):
        tour(visitor)
    server.quiet()
    yield visitor.found
    for context in opens.contexts:
        context.close()


def unfold(page: Any) -> None:
    page.evaluate(
        "for (const one of document.querySelectorAll('[role=tabpanel]:not([hidden]) details')) one.open = true"
    )
    page.wait_for_timeout(150)


def train(visitor: Visitor) -> None:
    page = visitor.page
    page.locator(".sdft-summary .sdft-sentence").wait_for()
    visitor.look("Train, empty")
    page.click("[data-action=example]")
    page.locator("[data-contents$=instance]").get_by_text("12 pictures, 12 captions").wait_for()
    page.wait_for_selector("[data-action=train]:enabled")
    unfold(page)
    field(page, "train.learning_rate").locator("[data-action=explain]").click()
    visitor.look("Train, the example, all unfolded, an explanation")
    write(page, "train.learning_rate", "lots")
    page.get_by_label("Search the settings").fill("learning")
    page.locator("[data-role=blocked]:visible").wait_for()
    visitor.look("Train, a setting that is wrong, a search", ".sdft-settings")
    visitor.look("Train, what keeps the run from starting", ".sdft-summary")
    page.get_by_label("Search the settings").fill("")
    write(page, "train.learning_rate", "0.0003")


def windows_of_train(visitor: Visitor) -> None:
    page = visitor.page
    action = lambda name: page.locator(f"[role=tabpanel]:not([hidden]) [data-action={name}]").first  # noqa: E731

    def preset() -> None:
        page.get_by_label("Name of the preset").fill("mine")
        page.click("dialog [data-action=save-preset]")
        page.locator("dialog").get_by_text("mine is saved.").wait_for()

    visitor.window("Window: presets", action("presets"), preset)
    visitor.window("Window: load a recipe", action("load-recipe"))
    visitor.window("Window: import settings", action("import-settings"))
    visitor.window("Window: YAML", action("yaml"))
    visitor.window(
        "Window: folders", action("browse"), lambda: page.locator("dialog .sdft-folder-list *").first.wait_for()
    )


def monitor(visitor: Visitor) -> None:
    """A run that is paused and one that waits; then the second, finished."""
    page = visitor.page
    short_example(page, "long", train__length="5000", save__every="0", train__batch_size="1")
    start(page)
    state(page, "training")
    page.focus(".sdft-monitor [data-action=pause]")
    page.keyboard.press("Enter")
    state(page, "paused")
    page.wait_for_selector(".sdft-monitor [data-action=resume]")
    page.wait_for_timeout(200)
    if not page.evaluate("Boolean(document.activeElement.closest('.sdft-monitor button'))"):
        visitor.note("keyboard", "Pause", ["the focus is lost when the button becomes another one"])
    panel(page, "train")
    short_example(page, "short", watch__validation_every="2", watch__validation_share="0.25", watch__pictures="2")
    start(page)
    page.select_option("[data-action=run] >> visible=true", "long")
    page.locator(".sdft-queue-item").wait_for()
    page.wait_for_selector("[data-role=chart] canvas")
    visitor.look("Monitor, a paused run and a queue")
    page.click(".sdft-monitor [data-action=stop]")
    state(page, "stopped")
    page.select_option("[data-action=run] >> visible=true", "short")
    state(page, "finished")
    page.locator(".sdft-monitor [data-verdict]").wait_for()
    unfold(page)
    visitor.look("Monitor, a finished run, all unfolded")
    visitor.note("keyboard", "The loss chart", chart_with_keys(page))
    visitor.window("Window: rate a picture", page.locator(".sdft-rateable").first)
    visitor.window(
        "Window: report",
        page.locator(".sdft-monitor [data-action=report]"),
        lambda: page.locator("dialog h3").first.wait_for(),
    )


def chart_with_keys(page: Any) -> list[str]:
    """Read the chart of a run of six steps and zoom it, with keys alone; return what doesn't do what it should."""
    chart, whole = page.locator("[data-role=chart]"), page.locator("[data-action=zoom-out]")
    page.check("[data-action=log-scale]")
    page.uncheck("[data-action=log-scale]")
    chart.focus()
    seen = []
    for key in ("Home", "ArrowRight", "Shift+ArrowRight", "ArrowLeft", "+", "0"):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
        text = chart.get_attribute("aria-valuetext")
        assert text == ", ".join([page.locator(".sdft-legend-step").inner_text(), *text.split(", ")[1:]])
        seen.append((key, int(chart.get_attribute("aria-valuenow")), text.split(",")[0], whole.is_visible()))
    steps = [
        (step, f"Step {step}", zoomed)
        for step, zoomed in ((0, False), (1, False), (6, False), (5, False), (5, True), (5, False))
    ]
    return [
        f"{key} leads to {found}"
        for (key, *found), expected in zip(seen, steps, strict=True)
        if tuple(found) != expected
    ]


def runs(visitor: Visitor) -> None:
    page = visitor.page
    panel(page, "runs")
    page.check("[data-compare=long]")
    page.check("[data-compare=short]")
    visitor.look("Runs")
    visitor.window("Window: two runs compared", page.locator("[data-action=compare]"))
    visitor.window("Window: resume with other settings", page.locator("[data-action=resume-with-long]"))
    visitor.window("Window: move to the trash", page.locator("[data-action=trash-long]"))


def evaluate(visitor: Visitor) -> None:
    page = visitor.page
    panel(page, "runs")
    page.click("[data-action=evaluate-short]")
    page.locator(".sdft-save-picture").first.wait_for()
    page.fill("[data-field=prompts] >> visible=true", "a red circle")
    page.fill("[data-field=steps]", "1")
    page.click("[data-action=tryout]")
    page.wait_for_function("() => document.querySelectorAll('.sdft-tryout img').length >= 2")
    page.wait_for_selector("[data-action=tryout]:enabled")
    visitor.look("Evaluate")
    visitor.window("Window: a control picture", page.locator(".sdft-save-picture").first)
    visitor.window("Window: a preview", page.locator("[data-action=preview] >> visible=true").first)


def dataset(visitor: Visitor) -> None:
    page = visitor.page
    panel(page, "dataset")
    page.locator("[data-dataset-path='dataset.concepts.0.instance'] input").fill(str(visitor.pictures))
    page.click("[data-action=dataset-report]")
    page.wait_for_selector("[data-role=report] [data-role=counts]")
    page.locator("[data-kind=copies_exact] [data-file]").nth(1).wait_for()
    unfold(page)
    page.locator(".sdft-preparation-item").first.wait_for()
    page.locator("[data-action=dataset-remove] >> visible=true").first.click()
    page.locator(".sdft-removed").first.wait_for()
    page.wait_for_function("() => document.querySelectorAll('.sdft-preparation-item').length === 5")
    page.locator("[data-action=dataset-put-back]").wait_for()
    visitor.look("Dataset, its report, all unfolded")
    mask = page.locator("[data-action=preparation-mask]").first
    visitor.window("Window: mask", mask, lambda: page.locator("dialog canvas").wait_for())


def captions(visitor: Visitor) -> None:
    page = visitor.page
    panel(page, "captions")
    page.locator(".sdft-cap-token").first.wait_for()
    visitor.look("Captions, the first picture")
    opened(page, visitor.pictures)
    cell(page, 1).click()
    page.locator(".sdft-cap-share", has_text="scene 1").wait_for(state="attached")
    unfold(page)
    page.fill("[data-action=filter-tag]", "red sofa")
    page.click("[data-action=filter-add]")
    page.locator(".sdft-cap-chip").wait_for()
    visitor.look("Captions, a folder, a caption and a filter")
    for side in ("edits", "tags", "tagger"):
        page.click(f"[data-side={side}]")
        page.wait_for_timeout(300)
        unfold(page)
        visitor.look(f"Captions, {side}", ".sdft-cap-side")
    visitor.window("Window: import captions", page.locator("[data-action=captions-import]"))
    visitor.window("Window: export captions", page.locator("[data-action=captions-export]"))


def rest(visitor: Visitor) -> None:
    page = visitor.page
    panel(page, "tools")
    for tool in ("merge", "metadata"):
        page.locator(f".sdft-choice[data-tool={tool}]").click()
        page.locator("[data-action=tool-run]").wait_for()
        visitor.look(f"Tools, {tool}")
    panel(page, "guide")
    visitor.look("Guide, terms", "section[aria-label=Terms]")
    unfold(page)
    visitor.look("Guide, chapters", "section[aria-label=Chapters]")


WRONG = """<body class=sdft style="margin: 0; color-scheme: light"><main><h1>Wrong</h1>
<p style="color: #999; background: #fff">pale</p><input><button id=second style="outline: none">No ring</button>
<button style="position: relative; left: -9px; outline: 2px solid #ddd">Lies on it</button><button tabindex=1>First</button>
<div id=clicked>Only for mice</div><div style="width: 3000px">wide</div>
<div style="width: 40px; overflow: hidden"><button style="width: 90px">Cut off</button></div></main>"""


def test_the_looks_find_what_is_wrong(chromium):
    """On a page where everything is."""
    code = source()
    context = chromium.new_context(viewport={"width": 420, "height": 800})
    context.add_init_script(SCRIPT.read_text())
    page = context.new_page()
    page.goto("about:blank")
    page.set_content(WRONG)
    page.evaluate("document.querySelector('#clicked').addEventListener('click', () => {})")
    page.evaluate(code)
    axe = "\n".join(violations(page))
    assert "color-contrast" in axe and "expected contrast ratio of 4.5:1" in axe.lower() and "label (" in axe
    assert violations(page, "#clicked") == []
    assert page.evaluate("sdftTest.unreachable()") == ["div Only for mice"]
    keyboard = "\n".join(tabbed(page))
    for expected in (
        "No ring shows the focus with 0 pixels",
        "Lies on it shows the focus with 2 pixels of contrast 1.",
        "Tab doesn't reach button First",
    ):
        assert expected in keyboard
    fit = "\n".join(page.evaluate("sdftTest.misfits()"))
    for expected in ("pixels too wide", "button No ring lies on button Lies on it", "button Cut off is cut off by div"):
        assert expected in fit
    context.close()


def told(findings: Findings, kind: str) -> str:
    return "\n".join(f"{place}: {text}" for place, texts in findings.get(kind, {}).items() for text in texts)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(found, theme):
    assert told(found, f"axe in {theme}") == ""


def test_everything_is_reached_with_the_tab_key_and_shows_the_focus(found):
    assert told(found, "keyboard") == ""


def test_what_reacts_to_clicks_is_a_control(found):
    assert told(found, "clicks") == ""


@pytest.mark.parametrize("where", ZOOMED)
def test_every_control_is_whole_and_free(found, where):
    assert told(found, where) == ""
