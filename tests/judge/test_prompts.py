"""Prompts that are proposed: captions of the pictures, and the same without the trigger."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sdft_ext.dataset.folder import scan
from sdft_ext.judge.prompts import PROMPTS, calls, propose, without_trigger
from sdft_ext.recipe import Concept, Recipe, WatchRecipe
from sdft_ext.recipe import file as recipe_file
from sdft_ext.run import train
from sdft_ext.storage import json_file
from tests.run import tiny


@pytest.mark.parametrize(
    ("trigger", "class_word", "prompt", "wanted"),
    [
        ("sks", "dog", "a sks dog on a beach", "a dog on a beach"),
        ("sks", "dog", "photo of SKS dog, red tie", "photo of dog, red tie"),
        ("sks", "dog", "sks, red tie", "dog, red tie"),
        ("sks", "dog", "a sks in a car with a dog", "a dog in a car with a dog"),
        ("sks", "dog", "risks and dogs", "risks and dogs"),
        ("in twotone style", "", "a red circle in twotone style", "a red circle"),
        ("ohwx", "", "ohwx, a house, trees", "a house, trees"),
        ("", "dog", "a dog", "a dog"),
        ("s+k", "dog", "a s+k dog", "a dog"),
    ],
)
def test_the_class_word_stands_in_the_triggers_place(trigger: str, class_word: str, prompt: str, wanted: str) -> None:
    assert without_trigger(prompt, Concept(trigger=trigger, class_word=class_word)) == wanted


def folder(place: Path, captions: list[str | None]) -> str:
    place.mkdir()
    for number, caption in enumerate(captions):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(place / f"{number:02}.png")
        if caption is not None:
            (place / f"{number:02}.txt").write_text(caption, encoding="utf-8")
    return str(place)


def proposed(*concepts: Concept, **watch: object) -> WatchRecipe:
    recipe = Recipe()
    recipe.dataset.concepts = list(concepts)
    recipe.watch = WatchRecipe(**watch)  # type: ignore[arg-type]
    return propose(recipe).watch


def test_they_are_captions_with_the_trigger_spread_over_the_folder(tmp_path: Path) -> None:
    places = [f"a sks dog at place {number}" for number in range(10)]
    found = proposed(Concept(trigger="sks", class_word="dog", instance=folder(tmp_path / "dogs", places)))
    # They all begin alike: new ones are the trigger in other places.
    assert found.concept_prompts == [places[0], "a sks dog on a beach", places[9], "a sks dog in a garden"]
    assert found.bleeding_prompts == ["a dog at place 0", "a dog at place 9", "", "a dog in a garden"]


def test_half_of_them_are_new_where_captions_or_regularization_pictures_give_other_words(tmp_path: Path) -> None:
    """Of what was copied, captions tell; of what was learned, prompts that no picture has."""
    places = ("home", "sea", "work")
    captions = [f"a {colour} sks dog at {place}" for colour in ("red", "wet", "big") for place in places]
    own, odd = folder(tmp_path / "dogs", captions[::2]), captions[1::2]
    found = proposed(Concept(trigger="sks", class_word="dog", instance=own), pictures=16)
    known = [prompt for prompt in found.concept_prompts if prompt in captions[::2]]
    made = [prompt for prompt in found.concept_prompts if prompt in odd]
    assert len(known) >= 4 and len(made) >= 2, "beginnings and ends of captions, put together anew"
    assert found.concept_prompts[0] in known and found.concept_prompts[1] in made
    others = folder(tmp_path / "others", ["a dog on the moon", "a cat", "a puppy dog in a box"])
    concept = Concept(trigger="sks", class_word="dog", instance=own, regularization=others)
    found = proposed(concept, pictures=16)
    assert {"a sks dog on the moon", "a puppy sks dog in a box"} < set(found.concept_prompts)
    assert not any("cat" in prompt for prompt in found.concept_prompts) and "a cat" in found.bleeding_prompts
    style = Concept(kind="style", trigger="in ink style", instance=own, regularization=others)
    assert "a cat in ink style" in proposed(style, pictures=16).concept_prompts


def test_more_pictures_are_of_more_prompts_each_with_two_seeds(tmp_path: Path) -> None:
    places = [f"a sks dog at place {number}" for number in range(10)]
    found = proposed(Concept(trigger="sks", class_word="dog", instance=folder(tmp_path / "dogs", places)), pictures=16)
    assert len(found.concept_prompts) == len(found.bleeding_prompts) == 8
    few = proposed(Concept(trigger="sks", class_word="dog", instance=folder(tmp_path / "few", places[:3])), pictures=16)
    assert set(places[:3]) < set(few.concept_prompts)
    assert len(set(few.concept_prompts)) == len(few.concept_prompts) <= 8


def test_without_captions_the_trigger_is_put_into_some_places(tmp_path: Path) -> None:
    none: list[str | None] = [None] * 3
    dogs = folder(tmp_path / "dogs", none)
    found = proposed(Concept(trigger="sks", class_word="dog", instance=dogs))
    assert len(found.concept_prompts) == PROMPTS and all("sks dog" in prompt for prompt in found.concept_prompts)
    assert "" in found.bleeding_prompts and not any("sks" in prompt for prompt in found.bleeding_prompts)
    style = proposed(Concept(kind="style", trigger="in ink style", instance=dogs))
    assert all(prompt.endswith("in ink style") for prompt in style.concept_prompts)
    assert not any("ink" in prompt for prompt in style.bleeding_prompts)


def test_each_of_several_concepts_has_prompts(tmp_path: Path) -> None:
    dogs, cats = folder(tmp_path / "dogs", ["a sks dog"] * 2), folder(tmp_path / "cats", ["a zwx cat", "zwx cat, sofa"])
    found = proposed(
        Concept(trigger="sks", class_word="dog", instance=dogs), Concept(trigger="zwx", class_word="cat", instance=cats)
    )
    for trigger in ("sks", "zwx"):
        assert any(trigger in prompt for prompt in found.concept_prompts)
        assert not any(trigger in prompt for prompt in found.bleeding_prompts)


def test_the_users_own_prompts_stay_and_nothing_is_proposed_where_that_is_off(tmp_path: Path) -> None:
    dogs = Concept(trigger="sks", class_word="dog", instance=folder(tmp_path / "dogs", ["a sks dog"]))
    assert proposed(dogs, concept_prompts=["mine"]).concept_prompts == ["mine"]
    assert proposed(dogs, concept_prompts=["mine"]).bleeding_prompts
    assert proposed(dogs, propose_prompts=False) == WatchRecipe(propose_prompts=False)
    assert proposed(Concept(instance=dogs.instance)) == WatchRecipe()
    assert proposed(Concept(trigger="sks", instance=str(tmp_path / "nowhere"))).concept_prompts


def test_a_run_without_prompts_draws_eight_pictures_of_each_set_and_says_which(data: Path, tmp_path: Path) -> None:
    settings = ("train.length=1", "save.every=0", "watch.propose_prompts=true", "watch.pictures=8", "watch.every=0")
    recipe = tiny.recipe(data, tmp_path, *settings)
    result = train(recipe, folder=tmp_path / "run", quiet=True)
    assert result.outcome == "finished", result.message
    watch = recipe_file.read(tmp_path / "run" / "recipe.yaml").watch
    assert watch.concept_prompts and watch.bleeding_prompts
    drawn = json_file.read(tmp_path / "run" / "controls" / "index.json")["prompts"]
    for name, prompts in (("concept", watch.concept_prompts), ("bleeding", watch.bleeding_prompts)):
        entries = [one for one in drawn if one["set"] == name]
        assert len(entries) >= 8 and {one["prompt"] for one in entries} == set(prompts)
        assert all(
            (tmp_path / "run" / "controls" / name / f"{one['number']:02}" / "step-000001.png").exists()
            for one in entries
        )
    assert len({one["seed"] for one in drawn}) == len(drawn)


def test_no_bleeding_prompt_calls_any_concept(tmp_path: Path) -> None:
    """Captions name both concepts, and regularization captions the other one."""
    dogs = folder(tmp_path / "dogs", ["a sks dog and a zwx cat", "a sks dog", "a big sks dog"])
    cats = folder(tmp_path / "cats", ["a zwx cat and a sks dog", "a zwx cat", "a big zwx cat"])
    kept = folder(tmp_path / "kept", ["a dog", "a sks dog outside", "a cat with a sks dog", "a dog on grass"])
    concepts = (
        Concept(trigger="sks", class_word="dog", instance=dogs, regularization=kept),
        Concept(trigger="zwx", class_word="cat", instance=cats, regularization=kept),
    )
    for pictures in (1, 8, 64):
        found = proposed(*concepts, pictures=pictures)
        most = max(PROMPTS, pictures // 2)
        assert 2 <= len(found.concept_prompts) <= most and 2 <= len(found.bleeding_prompts) <= most
        assert "" in found.bleeding_prompts and any(calls(one, concepts[1]) for one in found.concept_prompts)
        assert not any(calls(prompt, concept) for prompt in found.bleeding_prompts for concept in concepts)
        assert not any("sks sks" in prompt for prompt in found.concept_prompts)


def test_a_concept_without_trigger_takes_no_prompts_from_others(tmp_path: Path) -> None:
    dogs = folder(tmp_path / "dogs", [f"a sks dog at place {number}" for number in range(10)])
    found = proposed(Concept(trigger="sks", class_word="dog", instance=dogs), Concept(instance=dogs, class_word="dog"))
    assert len(found.concept_prompts) == PROMPTS


def test_captions_are_those_that_are_trained_on(tmp_path: Path) -> None:
    """With prefix and suffix; and pictures of a folder below the other one are not among that one's."""
    outer = tmp_path / "all"
    folder(outer, ["a dog 1", "a dog 2"])
    own = folder(outer / "mine", ["one", "two"])
    recipe = Recipe()
    concept = Concept(trigger="sks", class_word="dog", instance=own, regularization=str(outer))
    recipe.dataset.concepts, recipe.dataset.prefix, recipe.dataset.suffix = [concept], "photo of sks dog,", "!"
    read = propose(recipe).watch
    assert {"photo of sks dog, one !", "photo of sks dog, two !"} < set(read.concept_prompts)
    assert not any("one" in prompt or "two" in prompt for prompt in read.bleeding_prompts if "photo" not in prompt)
    assert propose(recipe, scan(recipe.dataset)).watch == read


def test_tags_after_the_trigger_are_exchanged_and_brackets_stay_whole(tmp_path: Path) -> None:
    tags = [f"sks girl, {a}, {b}, {c}" for a, b, c in ("xyz", "uvw", "rst", "opq")]
    found = proposed(Concept(trigger="sks", class_word="girl", instance=folder(tmp_path / "tags", tags)), pictures=16)
    assert "sks girl, x, s, t" in found.concept_prompts
    weighted = ["a (sks dog:1.3) outside", "a big sks dog at home"]
    found = proposed(Concept(trigger="sks", class_word="dog", instance=folder(tmp_path / "dogs", weighted)))
    assert all(one.count("(") == one.count(")") for one in found.concept_prompts)


@pytest.mark.parametrize(
    ("trigger", "prompt", "without"),
    [
        ("<cat>", "a <cat> on a beach", "a dog on a beach"),
        ("sks!", "a sks! on a beach", "a dog on a beach"),
        ("喵", "一只喵在海滩上", "一只dog在海滩上"),
        ("sks", "a sks dog, red tie", "a dog, red tie"),
        ("sks", "asks for sksy", None),
    ],
)
def test_any_trigger_calls_its_concept(trigger: str, prompt: str, without: str | None) -> None:
    concept = Concept(trigger=trigger, class_word="dog")
    assert calls(prompt, concept) == (without is not None)
    assert without_trigger(prompt, concept) == (without or prompt)
