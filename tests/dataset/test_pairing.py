"""Captions and masks whose names are spelled like their picture's, but not the same."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from sdft_ext.analysis.summary import summarize
from sdft_ext.captions.store import CaptionStore
from sdft_ext.dataset import pairing
from sdft_ext.dataset.folder import Scan, scan
from sdft_ext.dataset.plan import Plan
from sdft_ext.dataset.trash import Trash
from sdft_ext.recipe import TrainRecipe
from tests.analysis.images import image, recipe, save

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("pictures", "texts", "found", "unused"),
    [
        (["a.png"], ["a.txt"], {"a.png": "a.txt"}, []),
        (["a.png"], ["a.TXT", "a.caption"], {"a.png": "a.TXT"}, []),
        ([f"{NFD}.png"], [f"{NFC}.txt"], {f"{NFD}.png": f"{NFC}.txt"}, []),
        ([f"{NFC}.png"], [f"{NFD}.txt"], {f"{NFC}.png": f"{NFD}.txt"}, []),
        ([f"{NFC}.png"], [f"{NFD.upper()}.txt"], {f"{NFC}.png": f"{NFD.upper()}.txt"}, []),
        (["Cat.JPG"], ["cat.txt"], {"Cat.JPG": "cat.txt"}, []),
        (["dog.jpg"], ["dog.jpg.txt"], {"dog.jpg": "dog.jpg.txt"}, []),
        (["Dog.jpg"], ["dog.JPG.txt"], {"Dog.jpg": "dog.JPG.txt"}, []),
        (["dog.jpg"], ["dog.txt", "dog.jpg.txt"], {"dog.jpg": "dog.txt"}, ["dog.jpg.txt"]),
        # an equal name goes before one that is only alike
        (["Cat.jpg", "cat.png"], ["cat.txt"], {"cat.png": "cat.txt"}, []),
        # which one is meant can't be known
        (["Cat.jpg", "CAT.png"], ["cat.txt"], {}, ["cat.txt"]),
        (["Cat.jpg"], ["cat.txt", "CAT.txt"], {}, ["cat.txt", "CAT.txt"]),
        (["dog.jpg", "dog.png"], ["dog.jpg.txt"], {}, ["dog.jpg.txt"]),
        # two pictures may share one
        (["dog.jpg", "dog.png"], ["dog.txt"], {"dog.jpg": "dog.txt", "dog.png": "dog.txt"}, []),
        (["a.png"], ["b.txt", "README.txt", "heic.txt"], {}, ["b.txt"]),
    ],
)
def test_captions(pictures: list[str], texts: list[str], found: dict[str, str], unused: list[str]) -> None:
    assert pairing.captions(pictures, texts, {"heic"}) == (found, unused)


def summary(settings: object, found: Scan, **train: object) -> str:
    return summarize(found, Plan(found, settings, TrainRecipe(**train))).text  # type: ignore[arg-type]


def test_a_caption_without_a_picture_is_named_before_training(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.txt").write_text("lost")
    found = scan(recipe(tmp_path))
    assert [path.name for path in found.unused_texts] == ["b.txt"]
    assert "1 text file (b.txt) has no picture of the same name" in summary(recipe(tmp_path), found)
    unread = recipe(tmp_path, captions="filename")
    assert "b.txt" not in summary(unread, scan(unread))
    assert any("b.txt" in text for text in CaptionStore(tmp_path).problems)


def test_a_caption_is_edited_and_removed_under_its_own_name(tmp_path: Path) -> None:
    save(tmp_path / "Cat.JPG")
    (tmp_path / "cat.txt").write_text("a cat")
    store = CaptionStore(tmp_path)
    (picture,) = store.in_order
    assert picture.caption == "a cat" and picture.entry.file.name == "cat.txt"
    Trash(tmp_path).remove([tmp_path / "Cat.JPG"])
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize("name", ["cat-masklabel.png", "CAT-MASK.PNG", "cat-mask.jpg"])
def test_masks_of_all_spellings_are_masks(tmp_path: Path, name: str) -> None:
    """OneTrainer's are called masklabel (Nerogar/OneTrainer#1718)."""
    save(tmp_path / "cat.png")
    save(tmp_path / name, image(mode="L"))
    found = scan(recipe(tmp_path))
    assert [(p.path.name, p.mask_path) for p in found.pictures] == [("cat.png", tmp_path / name)] and not found.problems
    Trash(tmp_path).remove([tmp_path / "cat.png"])
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_of_two_masks_the_own_one_counts(tmp_path: Path) -> None:
    for name in ("cat", "cat-mask", "cat-masklabel"):
        save(tmp_path / f"{name}.png", image(mode="L"))
    assert [p.mask_path for p in scan(recipe(tmp_path)).pictures] == [tmp_path / "cat-mask.png"]


def test_masks_in_a_place_where_they_are_not_used_are_named(tmp_path: Path) -> None:
    save(tmp_path / "cat.png")
    save(tmp_path / "dog-mask.png", image(mode="L"))
    save(tmp_path / "masks" / "cat.png", image(mode="L"))
    texts = {problem.path.name: problem.text for problem in scan(recipe(tmp_path)).problems}
    assert sorted(texts) == ["dog-mask.png", "masks"]
    assert "no picture is called dog" in texts["dog-mask.png"] and "NAME-mask.png" in texts["masks"]


def test_masked_loss_without_masks_is_advised_against(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    settings = recipe(tmp_path)
    assert "no picture has a mask" in summary(settings, scan(settings), masked_loss=True)
    assert "mask" not in summary(settings, scan(settings))
    save(tmp_path / "a-mask.png", image(mode="L"))
    assert "no picture has a mask" not in summary(settings, scan(settings), masked_loss=True)
