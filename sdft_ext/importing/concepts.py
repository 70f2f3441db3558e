"""Concepts from another program's folders: trigger and class word, and repeats that mean the same."""

from __future__ import annotations

from typing import NamedTuple

from ..recipe import Concept
from .draft import Draft, shown
from .files import Files, base_name, named_caption, named_repeats
from .source import SettingsFileError

MOST = 300
"""Folders of pictures that a file may name."""


class Words(NamedTuple):
    """What calls a concept: its trigger and its class word, either may be empty."""

    trigger: str
    class_word: str

    @property
    def caption(self) -> str:
        """Return the caption that they make of a picture without one."""
        return f"{self.trigger} {self.class_word}".strip()


def words_of(instance: str, regularization: str) -> Words:
    """Split an instance prompt such as "sks cat": what the class prompt has, or all but the first word, is the class.

    >>> words_of("sks black cat", "black cat")
    Words(trigger='sks', class_word='black cat')
    >>> words_of("ohwx", "")
    Words(trigger='ohwx', class_word='')
    """
    instance, regularization = " ".join(instance.split()), " ".join(regularization.split())
    if regularization and instance.endswith(f" {regularization}"):
        return Words(instance.removesuffix(regularization).strip(), regularization)
    first, _, rest = instance.partition(" ")
    return Words(first, rest or regularization)


def check_count(number: int) -> None:
    """Raise SettingsFileError for more folders of pictures than a person's file names."""
    if number > MOST:
        raise SettingsFileError(
            f"The file names more than {MOST} folders of pictures: too many for one import. Put the pictures of a "
            "concept into one folder, or import the file in parts."
        )


def path_of(draft: Draft, files: Files, path: str, name: str) -> str:
    """Return a path for the recipe: the absolute one where it is found; else as it is, with a sentence."""
    found = files.find(path)
    if not found:
        draft.note(
            f"{name} is {shown(path)}, which wasn't found here, so nothing in it was counted: check the path. A "
            "relative path in a recipe starts at the recipe's folder."
        )
    return found or path


def set_repeats(draft: Draft, path: str, folder: str, repeats: int, name: str) -> int:
    """Set a concept's repeats so that, times those in the folder's name, they are as many as there.

    Returns how often a picture is shown in an epoch.
    """
    own = named_repeats(folder)
    times, left = divmod(repeats, own)
    if left or not times:
        draft.note(
            f"{name} is {repeats}, but the folder's name {shown(base_name(folder))} means {own} repeats here, "
            f"whatever the settings say. Rename the folder, and set {path} to {repeats}."
        )
        times = 1
    draft.set(path, times, name, repeats)
    return times * own


def add_concept(draft: Draft, folder: str, words: Words, title: str, name: str) -> str:
    """Add a concept with its folder and words; return its path in the recipe."""
    number = len(draft.recipe.dataset.concepts)
    path = f"dataset.concepts.{number}"
    draft.recipe.dataset.concepts.append(Concept())
    draft.set(f"{path}.instance", folder, name, folder)
    named = named_caption(folder)
    if named and words.caption and named != words.caption:
        draft.note(
            f"{name}: pictures without a text file have the caption {shown(named)} here, from the folder's name, and "
            f"not {shown(words.caption)}. Rename the folder if that matters."
        )
    draft.set(f"{path}.name", title or words.caption or base_name(folder) or "concept", name, folder)
    if words.trigger:
        draft.set(f"{path}.trigger", words.trigger, name, words.caption)
    if words.class_word:
        draft.set(f"{path}.class_word", words.class_word, name, words.caption)
    return path
