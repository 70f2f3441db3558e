"""docs/methods.md and its pictures, written from the figures of ``bench methods``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sdft_ext.method import METHODS
from sdft_ext.recipe import METHOD_INFO, Kind
from sdft_ext.storage import atomic, json_file
from sdft_ext.toy import demo
from sdft_ext.watch.controls import grid

from .method_rows import CONCEPTS, EVERY, LEARNED, ROWS, SHOWN, Row

COMMAND = "python -m bench methods"
PICTURES: dict[Kind, str] = {"subject": "methods.png", "style": "methods-style.png"}
GROUPS = ("class word", "empty prompt", "own captions")
Figures = Mapping[str, Mapping[str, Any]]
"""Of each row and of the base, by name."""

INTRODUCTION = """\
# The methods, measured

What each method learns on the embedded toy model, from the two examples that come with the program. Every run begins as the page \
begins: the method's preset, the normal length, the example's pictures; nothing else is tuned. The toy's presets were chosen by \
these same figures, so a row flatters its method a little; each is one run with one seed, and the ring is learned from twelve \
pictures drawn for it. A small checker (`sdft_ext/toy/checker.py`) reads off the pixels what a picture shows, so these are counts, \
not impressions. The toy model is small: compare the methods with each other, not with what they do on a real one.

    {command}

trains and measures all of this again (about an hour on one core) and writes this page; `--only NAME …` does so for some rows.

- **Learned**: of {concept_pictures} pictures with the trigger, most of them in colours and on backgrounds that no training \
picture has, the share that shows the concept. *Base* is the share for the same prompts before training.
- **Bleeding**: the share of pictures *without* the trigger that show the concept all the same, in the worst of three groups of \
{group_pictures} pictures (the class word, no words at all, the base's own captions). 0 is the aim.
- **Seconds**: processor time of the whole run ({machines}).
- **File**: what the WebUI loads. For real models, the subject and style columns of the page's method chooser say what to expect.

| method | name for `--only` | concept | learned | base | bleeding | steps | seconds | file |
|---|---|---|---|---|---|---|---|---|"""
NEW_TO_THE_BASE = """
Textual inversion changes no weights, and a hypernetwork changes only the inputs of the attention layers' keys and values: they \
call up what the base can draw already. A green ring, which the base draws when asked in other words, both call up nearly every time \
(the base itself, given no words, draws one in a share of 0.05); the star and the two-tone style, which this small base can't draw, \
hardly or not at all. (With the text encoder's whole output trained in a word's place, the star appeared in a share of 0.11 of the pictures.)"""
COMPARISON = """
## What holds the rest in place

A LoRA of the subject with its preset, three times: with nothing that holds the class in place, with regularization pictures, and \
with the frozen base's own answers (`train.class_preservation` and `train.blank_preservation`, both 1, no pictures). What holds the \
rest in place also slows the learning, so the runs are compared where they have learned equally much: each row is the first of the \
run's saves, one every {every} steps, that shows the star in at least {learned:.0%} of the pictures.

| held in place by | name for `--only` | steps | learned | bleeding | class word | empty prompt | own captions | seconds, whole run |
|---|---|---|---|---|---|---|---|---|"""


def size(count: int) -> str:
    """Write a number of bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def page(figures: Figures) -> str:
    """Write docs/methods.md from the figures of the rows that there are."""
    rows = [row for row in ROWS if row.name in figures and not row.compared]
    compared = [row for row in ROWS if row.name in figures and row.compared]
    introduction = INTRODUCTION.format(
        command=COMMAND,
        concept_pictures=demo.CONCEPT_PICTURES,
        group_pictures=demo.GROUP_PICTURES,
        machines="; ".join(sorted({figures[row.name]["machine"] for row in (*rows, *compared)})),
    )
    text = [
        introduction,
        *(_line(row, figures[row.name], figures[f"base-{row.concept}"]) for row in rows),
        NEW_TO_THE_BASE,
        *_missing(rows),
        *_pictures(figures),
        COMPARISON.format(every=EVERY, learned=LEARNED),
        *(_compared_line(row, figures[row.name]) for row in compared),
    ]
    lines = "\n".join(text).split("\n")
    return "\n".join(line if line.startswith(("|", "!", " ")) else _wrapped(line) for line in lines) + "\n"


def write_page(work: Path, docs: Path) -> None:
    """Write the page and its pictures from what is in the work folder."""
    figures = read_figures(work)
    atomic.text(docs / "methods.md", page(figures))
    for kind, name in PICTURES.items():
        if f"base-{kind}" not in figures:
            continue
        rows = [row.name for row in ROWS if row.concept == kind and not row.compared and row.name in figures]
        columns = [
            (label, [Image.open(work / folder / f"shown-{number}.png") for number in range(len(SHOWN[kind]))])
            for folder, label in ((f"base-{kind}", "base"), *zip(rows, rows, strict=True))
        ]
        sheet = grid(columns, SHOWN[kind])
        atomic.write(docs / name, lambda file, sheet=sheet: sheet.quantize(256).save(file, "PNG"))  # type: ignore[misc]


def read_figures(work: Path) -> dict[str, dict[str, Any]]:
    """Read the figures of all rows and bases that are in the work folder."""
    names = [*(row.name for row in ROWS), *(f"base-{concept}" for concept in CONCEPTS)]
    files = {name: work / name / "figures.json" for name in names}
    return {name: json_file.read(path) for name, path in files.items() if path.exists()}


def _line(row: Row, one: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    return (
        f"| {row.label} | `{row.name}` | {CONCEPTS[row.concept]} | {one['concept_learned']:.2f} | "
        f"{base['concept_learned']:.2f} "
        f"| {one['bleeding']:.3f} | {one['steps']} | {one['seconds']} | {size(one['bytes'])} |"
    )


def _compared_line(row: Row, one: Mapping[str, Any]) -> str:
    groups = " | ".join(f"{one['bleeding_groups'][name]:.3f}" for name in GROUPS)
    return (
        f"| {row.label} | `{row.name}` | {one['steps']} | {one['concept_learned']:.2f} | {one['bleeding']:.3f} | "
        f"{groups} "
        f"| {one['seconds']} |"
    )


def _missing(rows: Sequence[Row]) -> Iterator[str]:
    missing = set(METHODS) - {row.method for row in rows}
    if missing:
        yield "\nNot measured yet: " + ", ".join(METHOD_INFO[name].label for name in METHODS if name in missing) + "."


def _pictures(figures: Figures) -> Iterator[str]:
    for kind, name in PICTURES.items():
        if f"base-{kind}" in figures:
            what = f"The same prompts and seeds: the base, then the methods in the order of the table; {CONCEPTS[kind]}"
            yield f"\n![{what}]({name})"


def _wrapped(text: str) -> str:
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
