"""What kohya does with captions and pixels in each showing, which is set for each subset there and for all here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .draft import Draft, shown
from .kohya_subsets import Dataset, Subset

SETTINGS: tuple[tuple[str, str, Any, str], ...] = (
    ("shuffle_caption", "flag", False, "dataset.shuffle_tags"),
    ("keep_tokens", "whole", 0, "dataset.keep_tags"),
    ("caption_prefix", "text", "", "dataset.prefix"),
    ("caption_suffix", "text", "", "dataset.suffix"),
    ("caption_dropout_rate", "number", 0.0, "dataset.caption_dropout"),
    ("caption_tag_dropout_rate", "number", 0.0, "dataset.tag_dropout"),
    ("flip_aug", "flag", False, "dataset.flip"),
    ("random_crop", "flag", False, "dataset.crop"),
    ("alpha_mask", "flag", False, "dataset.alpha"),
    ("enable_wildcard", "flag", False, "dataset.wildcards"),
)
"""Names, kinds, kohya's defaults, and the recipe's settings, of instance subsets."""
BECOMES: dict[str, dict[Any, Any]] = {
    "flip_aug": {True: 0.5, False: 0.0},
    "random_crop": {True: "random", False: "center"},
    "alpha_mask": {True: "mask", False: "composite"},
}
"""kohya mirrors half of the showings (library/train_util.py, ``BaseDataset.__getitem__``)."""
EXTENSIONS = (".txt", ".caption")


def set_captions(draft: Draft, datasets: Sequence[Dataset]) -> None:
    """Set what kohya does with captions and pixels: the first instance subset's, as here it holds for all."""
    own = [one for dataset in datasets for one in dataset.having(regularization=False)]
    others = [one for dataset in datasets for one in dataset.having(regularization=True)]
    draft.set("dataset.captions", "text", "captions", None)
    for name, kind, default, path in SETTINGS:
        value = _first(draft, own, name, kind, default)
        draft.set(
            path, BECOMES.get(name, {}).get(value, value), own[0].levels.name(name), own[0].levels.get("raw", name)
        )
        if name == "enable_wildcard":  # each line is then a caption, of which one is chosen; else the first line counts
            lines = "choose" if value else "first"
            draft.set("dataset.caption_lines", lines, own[0].levels.name(name), own[0].levels.get("raw", name))
        if name == "alpha_mask" and value:
            draft.set("train.masked_loss", True, own[0].levels.name(name), value)
    if others:
        dropout = _first(draft, others, "caption_dropout_rate", "number", 0.0)
        name = others[0].levels.name("caption_dropout_rate")
        given = others[0].levels.get("raw", "caption_dropout_rate")
        draft.set("dataset.regularization_caption_dropout", dropout, name, given)
        for name, kind, default, _ in SETTINGS[2:4]:
            if others[0].levels.get(kind, name, default) and draft.recipe.dataset.concepts:
                draft.note(
                    f"{others[0].levels.name(name)} isn't put before or after captions of regularization pictures "
                    "here. Write it into their text files if it matters."
                )
    _extension(draft, own)
    _separator(draft, own)


def _first(draft: Draft, subsets: Sequence[Subset], name: str, kind: str, default: Any) -> Any:
    """Return the first subset's value; report where another one's differs."""
    values = [one.levels.get(kind, name, default) for one in subsets]
    differing = next((number for number, value in enumerate(values) if value != values[0]), None)
    if differing is not None:
        draft.note(
            f"{subsets[differing].levels.name(name)} is {shown(values[differing])}, but {shown(values[0])} in the "
            "first folder: here one value holds for all pictures, and the first was taken. Train the folders in runs "
            "of their own if it matters."
        )
    return values[0]


def _extension(draft: Draft, subsets: Sequence[Subset]) -> None:
    """Report captions in files with another ending than those that are read here."""
    for subset in subsets:
        given = subset.levels.get("text", "caption_extension", ".caption")
        if given.lower() not in EXTENSIONS:
            draft.leave(
                subset.levels.name("caption_extension"),
                given,
                "captions are read from .txt and .caption files here. Rename the files.",
            )


def _separator(draft: Draft, subsets: Sequence[Subset]) -> None:
    """Report tags that aren't separated by commas."""
    given = subsets[0].levels.get("text", "caption_separator", ",")
    if given.strip() != ",":
        draft.leave(
            subsets[0].levels.name("caption_separator"),
            given,
            "tags end at commas here. Replace the separator by commas in the captions.",
        )
