"""Every control changes the recipe that is sent, and only what it is for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sdft_ext.recipe import file as recipe_file
from sdft_ext.recipe.rules import fields

from .page import field, lines, write

pytestmark = pytest.mark.slow

FIRST = "dataset.concepts.0."


def schema(page: Any) -> dict[str, dict]:
    found = page.evaluate("fetch('sdft/v1/schema').then(answer => answer.json())")
    return {one["path"]: one for section in found["sections"] for one in section["fields"]}


def another(described: dict, now: Any) -> Any:
    """Return another value that the setting may have."""
    kind, low, high = described["type"], described["low"], described["high"]
    if kind == "bool":
        return not now
    if kind == "choice":
        return next((choice for choice in described["choices"] if choice != now), now)
    if kind == "int":
        return now + 1 if high is None or now + 1 <= high else now - 1
    if kind == "float":
        middle = (low + min(high, low + 1)) / 2
        return middle if middle != now else middle / 2
    if kind == "list":
        return [*now, "another <b>line</b>"]
    if kind == "map":
        return {"mid_block": 3} if "whole numbers" in described["allowed"] else {"betas": "0.8, 0.9"}
    return "0123 on ${a} <i>é</i> 🙂"


def put(page: Any, path: str, described: dict, value: Any) -> None:
    """Set a control as a user does."""
    found, kind = field(page, path), described["type"]
    if kind == "bool":
        found.locator("input[type=checkbox]").click()
    elif kind == "choice" and found.locator("select").count():
        found.locator("select").select_option(value)
    elif kind == "choice":
        found.locator(f'input[type=radio][value="{value}"]').check()
    elif kind == "list":
        found.locator("[data-action=add]").click()
        found.locator(".sdft-rows input").last.fill(value[-1])
    elif kind == "map":
        found.locator("[data-action=add]").click()
        for place, text in enumerate(next(iter(value.items()))):
            found.locator(".sdft-rows input").nth(place).fill(str(text))
    else:
        write(page, path, str(value))


def sent(page: Any) -> Any:
    """The recipe that the page sends with the name "sent"; one from before may still be on its way."""

    def named(request: Any) -> bool:
        return request.url.endswith("/v1/calculate") and '"sent"' in (request.post_data or "")

    with page.expect_request(named) as request:
        write(page, "save.name", "sent")
    return json.loads(request.value.post_data)["recipe"]


def test_every_control_sets_its_own_setting_in_the_recipe_that_is_sent(open_page):
    open_page.refusals = True  # the folders that are typed don't exist
    page = open_page()
    described = schema(page)
    # Another kind of concept, or another method, begins elsewhere.
    order = sorted(described, key=lambda path: path not in (f"{FIRST}kind", "method.name"))
    wanted = {}
    for path in order:
        if path in ("save.name", "method.name"):
            continue
        now = {s.path: s.value for s in fields(recipe_file.from_plain(sent_now(page)))}[path]
        wanted[path] = another(described[path], now)
        assert wanted[path] != now, path
        if described[path].get("methods"):
            page.check(f'[data-path="method.name"] input[value={described[path]["methods"][0]}]')
        put(page, path, described[path], wanted[path])
    recipe = sent(page)
    found = {setting.path: setting.value for setting in fields(recipe_file.from_plain(recipe))}
    assert {path: found[path] for path in wanted} == wanted
    assert found["save.name"] == "sent"
    assert page.locator('[data-path="method.name"] input').count() == len(described["method.name"]["choices"])


def sent_now(page: Any) -> Any:
    """The recipe as it would be sent, from what the page keeps: asking the server for each control takes too long."""
    return page.evaluate(
        """async () => {
            const { Draft } = await import(new URL('sdft/page/shared/draft.mjs', document.baseURI).href);
            window.sdftSchema ??= await (await fetch('sdft/v1/schema')).json();
            return new Draft(window.sdftSchema).nested();
        }"""
    )


def test_a_changed_setting_is_marked_and_goes_back(open_page):
    page = open_page()
    rank = field(page, "method.lora.rank")
    before = rank.locator("input").input_value()
    assert not rank.locator("[data-action=reset]").is_visible()
    write(page, "method.lora.rank", "7")
    assert "sdft-changed" in rank.get_attribute("class")
    page.check("[data-action=only-changed]")
    assert page.locator(".sdft-settings [data-path]:visible").evaluate_all(
        "nodes => nodes.map(node => node.dataset.path)"
    ) == ["method.lora.rank"]
    rank.locator("[data-action=reset]").click()
    assert rank.locator("input").input_value() == before
    assert "sdft-changed" not in rank.get_attribute("class")


def test_the_search_finds_settings_by_label_help_and_path(open_page):
    page = open_page()
    page.fill("[aria-label='Search the settings']", "huber")
    shown = page.locator(".sdft-settings [data-path]:visible").evaluate_all("n => n.map(one => one.dataset.path)")
    assert shown == ["train.loss", "train.huber_delta"]
    page.fill("[aria-label='Search the settings']", "there is no such word")
    assert page.get_by_text("No settings match your search.").is_visible()


@pytest.mark.parametrize("typed", ["", "abc", "0", "1025", "2.5"])
def test_an_impossible_number_is_an_error_at_its_control_and_blocks_training(open_page, typed):
    page = open_page()
    write(page, "method.lora.rank", typed)
    rank = field(page, "method.lora.rank")
    assert rank.locator("[role=alert]").inner_text() == "Enter a whole number from 1 to 1024."
    assert rank.locator("input").get_attribute("aria-invalid") == "true"
    assert page.locator("[data-action=train]").is_disabled()
    rank.locator("[data-action=reset]").click()
    assert rank.locator("[role=alert]").is_hidden() and rank.locator("input").input_value() == "16"


def test_server_errors_appear_at_the_control_that_they_name(open_page, tmp_path):
    page = open_page()
    page.click("[data-action=example]")
    write(page, "train.timestep_min", "900")
    write(page, "train.timestep_max", "100")
    alert = field(page, "train.timestep_min").locator("[role=alert]")
    alert.wait_for(state="visible")
    problem = "First timestep is 900 and “Last timestep” 100: the first must not be higher than the last."
    assert alert.inner_text() == problem
    assert page.locator("[data-action=train]").is_disabled()
    write(page, "train.timestep_max", "950")
    alert.wait_for(state="hidden")
    page.wait_for_selector("[data-action=train]:enabled")


def test_a_fresh_page_says_what_to_do_first_and_finds_nothing_wrong(open_page):
    page = open_page()
    page.get_by_text("Choose the folder with your pictures to begin.").click()
    page.wait_for_function(f"() => document.activeElement.closest('[data-path]')?.dataset.path === '{FIRST}instance'")
    assert page.locator("[role=alert]:visible").count() == 0
    assert page.locator("[data-action=train]").is_disabled()


def test_the_recipe_survives_a_reload_and_a_seed_beyond_javascripts_numbers(open_page):
    page = open_page()
    write(page, "train.seed", str(2**63 - 1))
    write(page, "train.learning_rate", "2,5e-4")
    page.reload()
    page.wait_for_selector("[data-action=train]")
    assert field(page, "train.seed").locator("input").input_value() == str(2**63 - 1)
    recipe = recipe_file.from_plain(sent(page))
    assert recipe.train.seed == 2**63 - 1
    assert recipe.train.learning_rate == 2.5e-4


def test_several_concepts_have_their_own_controls(open_page):
    page = open_page()
    field(page, f"{FIRST}repeats")
    page.click("[data-action=add-concept]")
    write(page, f"{FIRST}trigger", "one")
    write(page, "dataset.concepts.1.trigger", "two")
    field(page, "dataset.concepts.1.trigger")
    page.click("[data-action=add-concept]")
    write(page, "dataset.concepts.2.trigger", "three")
    assert [c.trigger for c in recipe_file.from_plain(sent(page)).dataset.concepts] == ["one", "two", "three"]
    field(page, "dataset.concepts.1.trigger")
    page.locator("[data-action=remove-concept]:visible").first.click()
    assert [c.trigger for c in recipe_file.from_plain(sent(page)).dataset.concepts] == ["one", "three"]


def test_a_recipe_is_shown_as_yaml_and_read_back(open_page):
    open_page.refusals = True
    page = open_page()
    page.click("[data-action=example]")
    write(page, "method.lora.rank", "11")
    page.click("[data-action=yaml]")
    text = page.locator("dialog textarea").input_value()
    assert recipe_file.loads(text).method.lora.rank == 11
    page.keyboard.press("Escape")
    page.click("[data-action=reset-all]")
    assert field(page, "method.lora.rank").locator("input").input_value() == "16"
    page.click("[data-action=load-recipe]")
    page.fill("dialog textarea", "train: {lerning_rate: 1}")
    page.click("dialog [data-action=load]")
    page.get_by_text("lerning_rate").wait_for()
    page.fill("dialog textarea", text)
    page.click("dialog [data-action=load]")
    page.wait_for_selector("dialog", state="detached")
    assert field(page, "method.lora.rank").locator("input").input_value() == "11"
    assert field(page, f"{FIRST}trigger").locator("input").input_value() == "sks"


def test_the_prompts_that_a_run_takes_where_there_are_none_are_shown_and_can_be_edited(open_page):
    page = open_page()
    page.click("[data-action=example]")
    lists = ("watch.concept_prompts", "watch.bleeding_prompts")
    for path in lists:
        lines(page, path, [])
    concept, bleeding = (field(page, path).locator("[data-role=proposal]") for path in lists)
    concept.locator("li").first.wait_for()
    proposed = concept.locator("li").all_inner_texts()
    assert len(proposed) == 4 and all("sks" in prompt for prompt in proposed)
    assert "(empty prompt)" in bleeding.locator("li").all_inner_texts()
    write(page, f"{FIRST}trigger", "ohwx")
    concept.get_by_text("ohwx").first.wait_for()
    concept.locator("[data-action=edit-proposal]").click()
    concept.wait_for(state="hidden")
    prompts = recipe_file.from_plain(sent(page)).watch
    assert len(prompts.concept_prompts) == 4 and not prompts.bleeding_prompts and bleeding.is_visible()
