"""Which captions pass: tags with and, or, not; texts; lengths; states."""

from __future__ import annotations

from typing import Any

import pytest

from sdft_ext.captions.errors import CaptionsError
from sdft_ext.captions.filters import FilterContext, filter_pictures
from sdft_ext.captions.store import CaptionStore

from . import folders
from .test_store import change


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> CaptionStore:
    root = folders.make(
        tmp_path_factory.mktemp("filters"),
        {
            "a": "dog, Red hat",
            "b": "cat, red  hat",
            "c": "dog",
            "sub/d": "a dog on grass",
            "sub/IMG_1": None,
            "z dog": None,
        },
    )
    opened = CaptionStore(root)
    change(opened, "c", do="set", text="dog, tree")
    return opened


CASES: list[tuple[dict[str, Any], str]] = [
    ({}, "a b c sub/IMG_1 sub/d z dog"),
    ({"tag": "dog"}, "a c"),
    ({"tag": "RED HAT"}, "a b"),
    ({"tag": "red hat", "case": True}, "b"),
    ({"not": {"tag": "dog"}}, "b sub/IMG_1 sub/d z dog"),
    ({"all": [{"tag": "dog"}, {"not": {"tag": "tree"}}]}, "a"),
    ({"any": [{"tag": "cat"}, {"tag": "tree"}]}, "b c"),
    ({"all": []}, "a b c sub/IMG_1 sub/d z dog"),
    ({"any": []}, ""),
    ({"text": "DOG"}, "a c sub/d z dog"),
    ({"text": "Red", "case": True}, "a"),
    ({"regex": "^a dog|cat"}, "b sub/d"),
    ({"regex": "^A", "case": True}, ""),
    ({"tokens": {"least": 4}}, "a b sub/d"),
    ({"tokens": {"most": 0}}, "sub/IMG_1"),
    ({"empty": True}, "sub/IMG_1"),
    ({"empty": False}, "a b c sub/d z dog"),
    ({"concept": "sub"}, "sub/IMG_1 sub/d"),
    ({"source": "name"}, "z dog"),
    ({"source": "none"}, "sub/IMG_1"),
    ({"state": "changed"}, "c"),
    ({"copies": True}, "a"),
    ({"ids": [0, 1]}, "a b"),
    ({"name": "IMG"}, "sub/IMG_1"),
]


@pytest.mark.parametrize(("tree", "wanted"), CASES)
def test_filters(found: CaptionStore, tree: dict[str, Any], wanted: str) -> None:
    around = FilterContext(lambda captions: [len(c.replace(",", " ,").split()) for c in captions], frozenset({0}))
    passed = " ".join(picture.entry.name for picture in filter_pictures(tree, found.in_order, around))
    assert passed == wanted


@pytest.mark.parametrize(
    "tree",
    [
        [],
        {"tag": 3},
        {"tag": "a", "text": "b"},
        {"unknown": 1},
        {"all": {"tag": "a"}},
        {"tokens": 3},
        {"source": "elsewhere"},
        {"copies": True},
        {"regex": "("},
        {"all": [{"tag": "a"}] * 500},
    ],
)
def test_refused(found: CaptionStore, tree: Any) -> None:
    with pytest.raises(CaptionsError):
        filter_pictures(tree, found.in_order)
    deep: Any = {"tag": "a"}
    for _ in range(50):
        deep = {"not": deep}
    with pytest.raises(CaptionsError, match="nested levels"):
        filter_pictures(deep, found.in_order)
