"""docs/methods.md and its pictures, written from the figures of ``bench methods``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sdft_ext.judge.shares import Share, worst
from sdft_ext.storage import atomic
from sdft_ext.toy import demo, world
from sdft_ext.watch.controls import grid

from . import strategies_page, together_figures
from .markdown import wrapped
from .method_concepts import CONCEPTS
from .method_figures import Figures, RowFigures, of_row, read_figures, run_folder
from .method_rows import EVERY, LEARNED, ROWS, Row

COMMAND = "python -m bench methods"
PICTURES = {"subject": "methods.png", "style": "methods-style.png"}
GROUPS = ("class word", "empty prompt", "own captions")

INTRODUCTION = """\
# The methods, measured

What each method learns on the embedded toy model, from the two examples that come with the program: a subject (a star, from 12 \
pictures) and a style (two-tone: the lower half of a shape is darker, from 60 pictures). Every run begins as the page begins: the \
method's preset, the normal length, the example's pictures; nothing else is tuned. Each row is {seeds} runs with different seeds. \
The toy's presets were chosen by such figures, so a row flatters its method a little. A small checker \
(`sdft_ext/toy/checker.py`) reads off the pixels what a picture shows, so these are counts, not impressions. The toy model is \
small: compare the methods with each other, not with what they do on a real one.

    {command}

trains and measures all of this again (some hours on one core; it goes on where it was stopped, and started twice it shares the \
work) and writes this page; `--only NAME …` does so for some rows.

- **Learned**: of {concept_pictures} pictures with the trigger, the share that shows the concept, with its 95 % interval. Most of \
them are in colours and on backgrounds that no training picture has. *Each seed* is every run's own share; *base* is the share for \
the same prompts before training.
- **Bleeding**: the share of pictures *without* the trigger that show the concept all the same, in the worst of three groups of up \
to {group_pictures} pictures (the class word, no words at all, the base's own captions), with its 95 % interval. 0 is the aim.
- **Seconds**: processor time of one run ({machines}).
- **File**: what the WebUI loads. The page's method chooser shows these figures next to what the guide says of real models."""
HEADER = """
| method | name for `--only` | learned | interval | each seed | base | bleeding | interval | steps | seconds | file |
|---|---|---|---|---|---|---|---|---|---|---|"""
SUBJECT = "\n## The subject: a star"
STYLE = """
## The style: two-tone

Colours {held_out} are in none of the style's pictures: there, only the style itself can be what was learned."""
CALLED = """
## What changes no weights

Textual inversion changes no weights, and a hypernetwork changes only the inputs of the attention layers' keys and values: they \
call up what the base can draw already. So each learns, beside the two examples, a subject and a style that the base can draw when \
it is asked in other words: a green ring (12 pictures), and any shape in purple on pink (60 pictures of three of the five shapes). \
What the small base can't draw, the star and the two-tone style, they learn hardly or not at all."""
COMPARISON = """
## What holds the rest in place

A LoRA of the subject with its preset: with nothing that holds the class in place, with regularization pictures, and with the \
frozen base's own answers (`train.class_preservation` and `train.blank_preservation`, both 1, no pictures). What holds the rest in \
place also slows the learning, so the runs are compared where they have learned equally much: each is the first of the run's saves, \
one every {every} steps, that shows the star in at least {learned:.0%} of the pictures.

| held in place by | name for `--only` | steps | learned | bleeding | class word | empty prompt | own captions | seconds, whole run |
|---|---|---|---|---|---|---|---|---|"""

TOGETHER = """
## A subject and a style together

Both examples in one run with two triggers (a LoRA with the subject's preset, twice the normal length), and the LoRAs of two runs \
in one prompt; `{command}` measures both, with {seeds} seeds. Shares of pictures that show a star, and that are two-tone:

| asked for with | one run: star | two-tone | two LoRAs: star | two-tone |
|---|---|---|---|---|"""
WEIGHTS = """
The style's LoRA at rising weights, prompts with its trigger. *Darker* is the logarithm of how many times brighter a shape's upper \
half is than its lower half (about 0.8 in the style's pictures):

| weight | two-tone | darker |
|---|---|---|"""


def size(count: int) -> str:
    """Write a number of bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def page(figures: Figures, both: Mapping[str, Any] | None = None, strategies: str = "") -> str:
    """Write docs/methods.md from the figures of the rows that there are, and the section on captions."""
    found = {row: of_row(figures[row.name]) for row in ROWS if row.name in figures}
    base = {name: of_row(figures[f"base-{name}"]) for name in CONCEPTS if f"base-{name}" in figures}
    taught = [row for row in found if not row.compared]
    weak = {row.method for row in taught if row.concept.startswith("known")}
    sections = {
        SUBJECT: [row for row in taught if row.concept == "subject" and row.method not in weak],
        STYLE.format(held_out=_held_out()): [
            row for row in taught if row.concept == "style" and row.method not in weak
        ],
        CALLED: [row for row in taught if row.method in weak],
    }
    text = [_introduction(list(found.values()))]
    for title, rows in sections.items():
        text += [title, HEADER, *(_line(row, found[row], base[row.concept]) for row in rows)]
        text += _picture(title, base)
    compared = [row for row in found if row.compared]
    text += [*_missing(taught), COMPARISON.format(every=EVERY, learned=LEARNED)]
    text += [_compared_line(row, found[row]) for row in compared]
    text += _together(both)
    body = wrapped("\n".join(text))
    return f"{body}\n\n{strategies or strategies_page.not_measured()}"


def _introduction(found: Sequence[RowFigures]) -> str:
    seeds = max((one.seeds for one in found), default=0)
    return INTRODUCTION.format(
        command=COMMAND,
        seeds=seeds,
        concept_pictures=max((one.learned.of for one in found), default=0),
        group_pictures=max((group.of for one in found for group in one.bleeding.values()), default=0),
        machines="; ".join(sorted({name for one in found for name in one.machines})),
    )


def _held_out() -> str:
    shown = {word for path in (demo.EXAMPLES / "style" / "instance").glob("*.txt") for word in path.read_text().split()}
    return " and ".join(colour for colour in world.COLOURS if colour not in shown)


def write_page(work: Path, docs: Path) -> None:
    """Write the page and its pictures from what is in the work folder."""
    figures, file = read_figures(work), docs / "methods.md"
    strategies = strategies_page.of_folder(work / "strategies") or strategies_page.existing(file)
    atomic.text(file, page(figures, together_figures.together(work), strategies))
    for concept, name in PICTURES.items():
        if f"base-{concept}" not in figures:
            continue
        rows = [row for row in ROWS if row.concept == concept and not row.compared and row.name in figures]
        prompts = CONCEPTS[concept].shown
        columns = [
            (label, _shown(work, folder, min(figures[folder]), len(prompts)))
            for folder, label in (
                (f"base-{concept}", "base"),
                *((row.name, row.name.removesuffix("-style")) for row in rows),
            )
        ]
        sheet = grid(columns, prompts)
        atomic.write(docs / name, lambda file, sheet=sheet: sheet.quantize(256).save(file, "PNG"))  # type: ignore[misc]


def write_figures(figures: Figures, file: Path) -> None:
    """Write what the page's chooser of methods shows: each method's figures with its preset, by the concept."""
    found: dict[str, dict[str, Any]] = {}
    for row in ROWS:
        if row.compared or row.changes or row.name not in figures:
            continue
        one = of_row(figures[row.name])
        found.setdefault(row.method, {})[row.concept] = {
            "learned": round(one.learned.value, 2),
            "bleeding": round(worst(one.bleeding.values()).value, 3),
            "steps": one.steps[0],
            "seconds": one.seconds,
            "file": size(one.bytes),
        }
    atomic.text(file, json.dumps(found, indent=1) + "\n")


def _shown(work: Path, name: str, seed: int, count: int) -> list[Image.Image]:
    return [Image.open(run_folder(work, name, seed) / f"shown-{number}.png") for number in range(count)]


def _span(share: Share) -> str:
    low, high = share.interval
    return f"{low:.2f}–{high:.2f}"


def _line(row: Row, one: RowFigures, base: RowFigures) -> str:
    bleeding = worst(one.bleeding.values())
    seeds = " ".join(f"{value:.2f}" for value in one.of_seeds)
    label = row.label if row.concept in PICTURES else f"{row.label}, {row.taught.title}"
    return (
        f"| {label} | `{row.name}` | {one.learned.value:.2f} | {_span(one.learned)} | {seeds} | {base.learned.value:.2f} | "
        f"{bleeding.value:.3f} | {_span(bleeding)} | {one.steps[0]} | {one.seconds} | {size(one.bytes)} |"
    )


def _compared_line(row: Row, one: RowFigures) -> str:
    groups = " | ".join(f"{one.bleeding[name].value:.3f}" for name in GROUPS)
    steps = " ".join(map(str, one.steps))
    bleeding = worst(one.bleeding.values())
    return (
        f"| {row.label} | `{row.name}` | {steps} | {one.learned.value:.2f} | {bleeding.value:.3f} ({_span(bleeding)}) | "
        f"{groups} | {one.seconds} |"
    )


def _together(found: Mapping[str, Any] | None) -> Iterator[str]:
    if not found:
        return
    yield TOGETHER.format(command=together_figures.COMMAND, seeds=found["seeds"])
    for name in together_figures.ASKED:
        shares = [share.value for kind in ("one_run", "two_files") for share in found[kind][name]]
        yield f"| {name} | " + " | ".join(f"{value:.2f}" for value in shares) + " |"
    yield WEIGHTS
    for weight, one in found["weights"].items():
        darker = sum(one["darker"]) / len(one["darker"])
        yield f"| {weight} | {one['share'].value:.2f} ({_span(one['share'])}) | {darker:.2f} |"


def _missing(rows: Sequence[Row]) -> Iterator[str]:
    missing = [row.name for row in ROWS if not row.compared and row not in rows]
    if missing:
        yield "\nNot measured yet: " + ", ".join(f"`{name}`" for name in missing) + "."


def _picture(title: str, base: Mapping[str, RowFigures]) -> Iterator[str]:
    concept = {SUBJECT: "subject", CALLED: ""}.get(title, "style")
    if concept in base:
        what = f"The same prompts and seeds: the base, then the methods by their names; {CONCEPTS[concept].title}"
        yield f"\n![{what}]({PICTURES[concept]})"
