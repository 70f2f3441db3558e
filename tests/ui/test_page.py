"""The page itself: keyboard, guide, folders, hostile names, a server that goes away, phones, light and dark."""

from __future__ import annotations

import colorsys
import re

import pytest
from PIL import Image

from sdft_ext import __version__

from .page import field, panel, scrolls_sideways, short_example, start, state, write

pytestmark = pytest.mark.slow

PANELS = ["dataset", "captions", "train", "monitor", "runs", "evaluate", "tools", "guide"]
SCRIPT = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"


def test_panels_are_chosen_with_the_keyboard_and_stay_after_a_reload(open_page):
    page = open_page()
    page.wait_for_selector("[role=tab][data-panel=train][aria-selected=true]")
    page.focus("[role=tab][data-panel=train]")
    for name in [*PANELS[PANELS.index("train") + 1 :], *PANELS[: PANELS.index("train") + 1]]:
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.panel") == name
        assert page.locator("[role=tabpanel]:visible").count() == 1
    page.keyboard.press("End")
    page.reload()
    page.wait_for_selector("[role=tab][data-panel=guide][aria-selected=true]")
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_the_page_names_its_version_as_the_server_does(open_page, server):
    page = open_page()
    assert page.locator(".sdft-version").inner_text() == f"sdft {__version__}"
    assert server.ask("session")["version"] == __version__
    # Another version is installed while the page is open: the next session tells it.
    newer = {**server.ask("session"), "version": "9.8.7"}
    page.route("**/sdft/v1/session", lambda route: route.fulfill(json=newer))
    page.evaluate("document.querySelector('#sdft_root').dispatchEvent(new Event('sdft-options'))")
    page.wait_for_function("() => document.querySelector('.sdft-version').textContent === 'sdft 9.8.7'")


def test_every_control_has_a_name(open_page):
    page = open_page()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('.sdft :is(input, select, textarea, button)')]
            .filter(one => !(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim()))
            .map(one => one.outerHTML)"""
    )
    assert nameless == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))


def test_a_setting_is_explained_in_place(open_page):
    page = open_page(width=420)
    rate = field(page, "train.learning_rate")
    for setting in (rate, field(page, "method.name")):
        explain, text = setting.locator("[data-action=explain]"), setting.locator("[data-role=explanation]")
        assert text.is_hidden() and explain.get_attribute("aria-expanded") == "false"
        explain.click()
        assert text.is_visible() and explain.get_attribute("aria-expanded") == "true"
        assert page.evaluate("document.activeElement.dataset.action") == "explain", "the keyboard stays where it was"
    assert "1e-4 is a good start for a LoRA" in rate.locator("[data-role=explanation]").inner_text()
    assert not scrolls_sideways(page)
    assert page.locator("[data-panel=train]").first.get_attribute("aria-selected") == "true"
    rate.locator("[data-action=explain]").click()
    assert rate.locator("[data-role=explanation]").is_hidden()


def test_each_setting_leads_to_its_term_and_back_to_where_one_was(open_page):
    page = open_page()
    field(page, "train.learning_rate").locator("[data-action=explain]").click()
    field(page, "train.learning_rate").locator("[data-action=guide]").scroll_into_view_if_needed()
    before = page.evaluate("window.scrollY")
    assert before > 0
    field(page, "train.learning_rate").locator("[data-action=guide]").click()
    term = page.locator("[data-entry=learning-rate]")
    term.wait_for(state="visible")
    page.wait_for_function("() => document.activeElement.dataset.entry === 'learning-rate'")
    panel(page, "train")
    page.wait_for_function("y => Math.abs(window.scrollY - y) < 2", arg=before)
    panel(page, "guide")
    term.locator("[data-setting='train.learning_rate']").click()
    page.wait_for_function(
        "() => document.activeElement.closest('[data-path]')?.dataset.path === 'train.learning_rate'"
    )
    assert field(page, "train.learning_rate").is_visible()
    panel(page, "guide")
    page.fill("[aria-label='Search terms']", "min-snr")
    assert page.locator("[data-entry]:visible").evaluate_all("n => n.map(one => one.dataset.entry)") == ["snr"]


def test_folders_are_walked_through_and_chosen(open_page, tmp_path):
    page = open_page()
    page.locator('[data-path="dataset.concepts.0.instance"] [data-action=browse]').click()
    page.locator("dialog [data-action=folder]").filter(has_text="example").click()
    page.locator("dialog [data-action=folder]").filter(has_text="subject").click()
    page.locator("dialog [data-action=folder]").filter(has_text="instance").click()
    page.locator("dialog").get_by_text("12 pictures in this folder").wait_for()
    page.click("dialog [data-action=use]")
    assert re.search(
        r"example.subject.instance$", field(page, "dataset.concepts.0.instance").locator("input").input_value()
    )
    page.locator("[data-contents$=instance]").get_by_text("12 pictures, 12 captions").wait_for()


def test_hostile_names_and_captions_are_text(open_page, tmp_path):
    open_page.refusals = True  # a folder of this name does not exist
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (64, 64), "red").save(folder / "<img src=x onerror=hacked=1>.png")
    (folder / "<img src=x onerror=hacked=1>.txt").write_text(SCRIPT)
    page = open_page()
    short_example(page, "hostile", train__length="1", dataset__concepts__0__trigger=SCRIPT)
    write(page, "dataset.concepts.0.instance", str(folder))
    write(page, "dataset.concepts.0.regularization", str(tmp_path / SCRIPT.replace("/", "")))
    page.locator("[data-contents$=regularization] [role=alert]").wait_for()
    assert page.locator("[data-contents$=instance] img").get_attribute("alt").endswith(SCRIPT)
    write(page, "dataset.concepts.0.regularization", "")
    field(page, "watch.concept_prompts").locator(".sdft-rows input").first.fill(SCRIPT)
    start(page)
    state(page, "finished")
    page.locator("[data-set=concept]").get_by_text(SCRIPT).wait_for()
    for name in PANELS:
        panel(page, name)
        page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    assert page.locator(".sdft script").count() == 0


def test_a_lost_server_is_reported_and_found_again(open_page):
    page = open_page()
    page.context.set_offline(True)
    page.get_by_text("The server doesn't answer. Trying again.").first.wait_for()
    page.context.set_offline(False)
    page.get_by_text("The server doesn't answer. Trying again.").first.wait_for(state="hidden")
    open_page.said[:] = [text for text in open_page.said if "ERR_INTERNET_DISCONNECTED" not in text]


def test_another_model_is_shown_once_the_page_is_visible_again(open_page):
    page = open_page()
    name, notices = page.locator(".sdft-model-name"), page.locator("[data-role=notices]")
    before = name.inner_text()
    why = "other is an inpainting model: choose one that draws from words alone."
    model = {}

    def changed(route):
        answer = route.fetch()
        session = answer.json()
        session["host"]["model"] |= model
        route.fulfill(response=answer, json=session)

    def come_back():
        page.evaluate("document.querySelector('#sdft_root').hidden = true")
        page.wait_for_timeout(300)
        with page.expect_response("**/v1/session", timeout=5_000):
            page.evaluate("document.querySelector('#sdft_root').hidden = false")

    page.wait_for_timeout(2_000)
    page.route("**/v1/session", changed)
    model |= {"name": "other.safetensors", "trainable": False, "why": why}
    come_back()
    notices.get_by_text(why).wait_for(timeout=5_000)
    assert name.inner_text() == "other.safetensors" and notices.get_by_role("alert").count() == 1
    notices.evaluate("node => { node.firstChild.seen = true; }")
    come_back()
    page.wait_for_timeout(500)
    assert notices.evaluate("node => node.firstChild.seen"), "a screen reader doesn't read it again"
    model.clear()
    come_back()
    notices.get_by_text(why).wait_for(state="detached", timeout=5_000)
    assert name.inner_text() == before


def test_a_model_is_shown_soon_where_there_was_none(open_page):
    page = open_page()
    name = page.locator(".sdft-model-name")
    before = name.inner_text()
    none = {"name": "", "path": "", "trainable": False, "why": "It is still loading."}

    def loading(route):
        answer = route.fetch()
        session = answer.json()
        session["host"]["model"] |= none
        route.fulfill(response=answer, json=session)

    page.route("**/v1/session", loading)
    page.reload()
    name.get_by_text("No model").wait_for()
    page.wait_for_timeout(2_000)  # what the page asks when it opens is over
    none.clear()
    name.get_by_text(before, exact=True).wait_for(timeout=6_000)


def test_news_of_another_model_that_comes_twice_at_once_draws_one_page(open_page):
    """As where the page waits for a checkpoint, and looks because the options changed: two pages would do everything twice."""
    page = open_page()
    drawn = page.evaluate(
        """async () => {
            const { mount } = await import(new URL('main.mjs', document.querySelector('script[type=module]').src).href);
            const root = document.createElement('div');
            document.body.append(root);
            const app = await mount(root);
            let drawn = 0;
            const listen = root.addEventListener.bind(root);
            root.addEventListener = (name, ...rest) => { drawn += name === 'sdft-picture'; listen(name, ...rest); };
            const session = structuredClone(app.session);
            session.host.model.path += '-other';
            app.schema = { ...app.schema, presets: [] };
            await Promise.all([app.takeSession(session), app.takeSession(session)]);
            await app.takeSession({ ...session, host: { ...session.host, model: { ...session.host.model, path: 'third' } } });
            root.remove();
            return drawn;
        }"""
    )
    assert drawn == 1


def test_the_example_is_that_of_the_chosen_kind(open_page):
    page = open_page()
    kind = field(page, "dataset.concepts.0.kind")
    for value, count, name, steps in (("style", 60, "twotone", "450"), ("subject", 12, "star", "450")):
        kind.locator(f"input[value={value}]").check()
        page.click("[data-action=example]")
        page.locator("[data-contents$=instance]").get_by_text(f"{count} pictures, {count} captions").wait_for()
        assert kind.locator(f"input[value={value}]").is_checked()
        assert field(page, "save.name").locator("input").input_value() == name
        assert field(page, "train.length").locator("input").input_value() == steps
        page.wait_for_selector("[data-action=train]:enabled")


@pytest.mark.parametrize("width", [360, 768, 1600])
def test_no_panel_is_wider_than_the_screen(open_page, width):
    page = open_page(width=width, height=800)
    page.click("[data-action=example]")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    for name in PANELS:
        panel(page, name)
        page.wait_for_timeout(400)
        assert not scrolls_sideways(page), name


def luminance(colour: str) -> float:
    most = 1 if colour.startswith("color(srgb ") else 255  # as Chromium writes what color-mix() gives
    numbers = [float(value) / most for value in re.findall(r"[\d.]+", colour)[:3]]
    return colorsys.rgb_to_hls(*numbers)[1]


@pytest.mark.parametrize(("theme", "dark"), [("light", False), ("dark", True)])
def test_text_stands_out_in_both_themes(open_page, theme, dark):
    page = open_page(theme=theme)
    for selector in (".sdft-card", ".sdft-input", ".sdft-button.sdft-small", ".sdft-choice"):
        found = page.locator(selector).first
        text, ground = found.evaluate("n => [getComputedStyle(n).color, getComputedStyle(n).backgroundColor]")
        assert (luminance(text) > luminance(ground)) == dark, selector
        assert abs(luminance(text) - luminance(ground)) > 0.4, selector


def test_the_guide_leads_to_tools_and_to_its_sources(open_page, server):
    page = open_page()
    panel(page, "guide")
    page.locator("[data-chapter=Sources] summary").click()
    links = page.locator("[data-chapter=Sources] a")
    assert "https://github.com/Guizmus/sd-training-intro" in links.evaluate_all("all => all.map(one => one.href)")
    assert links.evaluate_all("all => all.every(one => one.target === '_blank' && one.relList.contains('noopener'))")
    runs = server.runs.resolve()
    command = page.locator("[data-entry=tensorboard] code")
    assert command.inner_text() == f'tensorboard --logdir "{runs}"'
    page.locator("[data-chapter=Safety] summary").click()
    for tool in ("convert", "scan"):
        page.locator(f"[data-chapter=Safety] [data-place='tools/{tool}']").click()
        page.wait_for_selector(f"[data-tool={tool}] input:checked")
        panel(page, "guide")
    page.locator("[data-entry=token] [data-place=captions]").click()
    page.wait_for_selector("[role=tab][data-panel=captions][aria-selected=true]")


def test_a_ckpt_as_the_base_model_leads_to_the_tool_that_converts_it(open_page, server):
    page = open_page()
    assert page.locator("[data-action=convert]").count() == 0
    session = server.ask("session")
    session["host"]["model"]["path"] = "/models/old.ckpt"
    page.route("**/sdft/v1/session", lambda route: route.fulfill(json=session))
    page.reload()
    page.locator("[data-action=convert]").click()
    page.wait_for_selector("[data-tool=convert] input:checked")
