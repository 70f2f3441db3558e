"""Where OneTrainer's concepts have their captions from, and what is done with these → the recipe's ``dataset``.

A concept's prompts come from the text file of each picture (``sample``), from its file's name, or from one file for
all of the concept's pictures (``concept``); of several lines, one is chosen for each picture (mgds,
``LoadMultipleTexts`` and ``SelectRandomText``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .concepts import Words, words_of
from .draft import shown
from .files import Files
from .source import MAX_BYTES
from .values import Values

ARTICLES = frozenset({"a", "an", "the", "photo", "picture", "image", "painting", "drawing"})
"""Words that a prompt begins with which call no concept."""
LONGEST_NAME = 3
"""Words of a prompt that is taken for a trigger and its class word, and not for a sentence."""
MOST_PROMPTS = 200
"""Lines of a file of prompts that are taken over."""


@dataclass(frozen=True)
class Prompts:
    """A concept's source of captions, and the lines of its file of prompts; None where that couldn't be read."""

    source: str
    lines: tuple[str, ...] | None = ()

    @property
    def only(self) -> str:
        """Return the one prompt of all pictures; empty where there is none."""
        return self.lines[0] if self.lines is not None and len(self.lines) == 1 else ""


def read_prompts(values: Values, files: Files) -> Prompts:
    """Read where a concept's captions come from, and its file of prompts."""
    table = values.table("text")
    source, path = table.text("prompt_source", "sample"), table.text("prompt_path")
    if source != "concept":
        return Prompts(source)
    content = files.read(path) if path.lower().endswith(".txt") else None  # no other file becomes a caption
    if content is None or len(content) > MAX_BYTES:
        return Prompts(source, None)
    lines = [" ".join(line.split()) for line in content.decode("utf-8-sig", errors="replace").splitlines()]
    return Prompts(source, tuple(line for line in lines if line)[:MOST_PROMPTS] or None)


def words(prompts: Prompts, others: Sequence[Prompts]) -> Words:
    """Return the trigger and the class word in a concept's one prompt, which together are that prompt.

    "ohwx man" has the class word "man"; where that is the whole prompt of another concept, this one has no trigger.
    """
    prompt = prompts.only
    if not prompt:
        return Words("", "")
    if any(one.only.endswith(f" {prompt}") for one in others):
        return Words("", prompt)
    ends = [one.only for one in others if one.only and prompt.endswith(f" {one.only}")]
    parts = prompt.split()
    if ends or (1 < len(parts) <= LONGEST_NAME and parts[0].lower() not in ARTICLES and "," not in prompt):
        return words_of(prompt, max(ends, key=len, default=""))
    return Words(prompt, "") if others else Words("", "")  # a single concept has the prompt as its template


def set_texts(concepts: Sequence[Values], prompts: Sequence[Prompts]) -> None:
    """Set where captions come from and what is done with them: the first concept's, as here it holds for all."""
    tables = [one.table("text") for one in concepts]
    sources = ["filename" if one.source == "filename" else "text" for one in prompts]
    shuffled = [table.flag("enable_tag_shuffling") for table in tables]
    dropout = [table.flag("tag_dropout_enable") and table.number("tag_dropout_probability") != 0 for table in tables]
    kept = [table.whole("keep_tags_count", 1) for table in tables]
    first = tables[0]
    first.set("dataset.captions", "prompt_source", sources[0])
    if sources[0] == "text":
        first.set("dataset.caption_lines", "prompt_source", "choose")
    first.set("dataset.shuffle_tags", "enable_tag_shuffling", shuffled[0])
    if shuffled[0] or dropout[0]:
        first.set("dataset.keep_tags", "keep_tags_count", kept[0])
    differing(tables, "prompt_source", sources)
    differing(tables, "enable_tag_shuffling", shuffled)
    differing(tables, "tag_dropout_enable", dropout)
    if any(shuffled) or any(dropout):
        differing(tables, "keep_tags_count", kept)
    _set_prompts(tables, prompts)
    if dropout[0]:
        _set_tag_dropout(first)
    for table in tables:
        if table.flag("caps_randomize_enable") and table.number("caps_randomize_probability") != 0:
            table.leave(
                "caps_randomize_enable", "capitals aren't changed at random here. CLIP reads small letters alone."
            )
        if table.text("tag_delimiter", ",").strip() != ",":
            table.leave("tag_delimiter", "tags end at commas here. Replace the delimiter by commas in the captions.")
        for name in table.values:
            table.raw(name)


def _set_prompts(tables: Sequence[Values], prompts: Sequence[Prompts]) -> None:
    """Set the prompts that all pictures of a concept have: the template where they are those of all concepts, else the
    trigger and the class word, as ``words`` has split them.
    """
    draft = tables[0].draft
    same = all(one.source == "concept" and one.lines and one.lines == prompts[0].lines for one in prompts)
    lines = prompts[0].lines or ()
    if same and not any(re.search(r"[{|}]|\[name]|\[filewords]", line) for line in lines):
        several = len(lines) > 1
        template = "{" + "|".join(lines) + "}" if several else lines[0]
        if tables[0].set("dataset.template", "prompt_path", template) and several:
            tables[0].set("dataset.wildcards", "prompt_path", True)
        return
    for table, one in zip(tables, prompts, strict=True):
        if one.source == "filename":
            draft.note(
                f'{table.name("prompt_source")} is "filename": numbers at the end of a name, as in "cat (2).png", '
                "aren't part of the caption here. No action is needed."
            )
        if one.source != "concept":
            continue
        if one.lines is None:
            table.leave(
                "prompt_path",
                "this file of prompts wasn't found here, or is empty; it should be a .txt file. There its prompt is "
                "the caption of all pictures of the concept: write it to dataset.template, or into text files next to "
                "the pictures.",
            )
        elif len(one.lines) > 1:
            table.leave(
                "prompt_path",
                "the concepts have prompts of their own, of which each picture has one at random there: write them "
                "into text files next to the pictures.",
            )
        else:
            draft.note(
                f"{table.name('prompt_path')}: the prompt {shown(one.only)} is the caption of pictures without a text "
                "file here. Text files next to the pictures are used instead: move them elsewhere."
            )


def _set_tag_dropout(table: Values) -> None:
    mode, chance = table.text("tag_dropout_mode", "FULL").upper(), table.number("tag_dropout_probability", 0.0)
    if mode == "RANDOM":
        table.set("dataset.tag_dropout", "tag_dropout_probability", chance)
    else:
        table.leave(
            "tag_dropout_mode",
            "each tag is left out by itself here (RANDOM). Set dataset.tag_dropout, or dataset.caption_dropout to "
            f"{chance:g} to leave out whole captions.",
        )
    if table.text("tag_dropout_special_tags_mode", "NONE").upper() != "NONE":
        table.leave("tag_dropout_special_tags_mode", "all tags but the first are alike here. See dataset.keep_tags.")


def differing(tables: Sequence[Values], name: str, values: Sequence[Any]) -> None:
    """Report the first concept whose setting ``name`` isn't that of the first, as here one value holds for all."""
    for table, value in zip(tables, values, strict=True):
        if value != values[0]:
            table.draft.note(
                f"{table.name(name)} is {shown(value)}, but {shown(values[0])} in the first concept: here one value "
                "holds for all, and the first was taken. Train the concepts in runs of their own if it matters."
            )
            return
