"""The section of docs/methods.md on captions, written from the figures of ``bench strategies``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sdft_ext.storage import atomic

from .markdown import row, wrapped
from .strategy_figures import BASE, COMMAND, LEARNED, Effect, Figures, Quantity, What, complete, read_figures
from .strategy_rows import COLOUR, REFERENCE, STRATEGIES, Row, Shown

TITLE = "## Ways to caption"
INTRODUCTION = """
The same 16 pictures of the star, captioned in six ways. Half of them show it in {colour}, the others in red, blue or yellow, and \
half have a badge, a small square in the corner: two features that recur and don't belong to the concept. The base knows the word \
"{colour}"; "badge" means nothing to it. A LoRA with the subject's preset learns for {steps} steps, with the example's \
regularization pictures. Each row is {seeds} runs with different seeds, measured at {saves} saves by {pictures} pictures of each \
kind of prompt; runs of the same seed have the same noise and the same pictures drawn. `{command}` measures all of this again.

What the badge's checker takes for one was tested on pictures without (none of {base_pictures} of the base's was taken for one) \
and with. A difference is to *{reference}*; its 95 % interval is the wider of Student's over the seeds and Newcombe's over the \
pictures. An interval that includes 0 shows nothing.

| captions | a caption |
|---|---|"""
SPEED = """
**How fast the star is learned.** *Steps*: until {learned:.0%} of the pictures show it, between two saves by proportion, in each run \
(–: not within the run). *On average*: the share over all saves, which is larger the earlier the star is learned.

| captions | steps, prompts like its captions | on average | difference | steps, trigger alone | on average | difference |
|---|---|---|---|---|---|---|"""
END = """
**What the last save shows.** *Prompts like its captions* and *sentence* have colours and backgrounds in all combinations; *obeyed* \
is the share of pictures by a sentence in the right colour on the right background.

| captions | star: like its captions | trigger alone | sentence | obeyed | difference |
|---|---|---|---|---|---|"""
STUCK = """
**What sticks to the trigger.** The share of pictures with the badge, and with a {colour} object, by the trigger alone; by a sentence \
with other colours in turn and without the badge; and by one that asks for both features. Half of the training pictures have each.

| captions | badge: trigger alone | difference | sentence without | asked for | {colour}: trigger alone | difference | asked for |
|---|---|---|---|---|---|---|---|"""
BLEEDING = """
**What bleeds.** The share of pictures without the trigger that show the star: with the class word, and with an empty prompt. With \
regularization pictures it is the last save; without them, the first of the saves, one every {every} steps, that shows the star in \
{learned:.0%} of the pictures by prompts like its captions.

| captions | regularization | steps | star: like its captions | class word | difference | empty prompt | difference |
|---|---|---|---|---|---|---|---|"""
CLAIMS = """
**What the guide says, and what was seen.** Each claim is compared by one difference, the first share minus the second. It is \
*seen* where the interval lies on its side of 0, *the opposite* on the other, and else *not seen here*, which doesn't prove it \
wrong: {seeds} runs of each row tell only large differences.

| claim | compared | shares | difference | |
|---|---|---|---|---|"""
CAVEATS = """
The toy's base was trained on sentences like "a red circle on a white background" and on no tags, so sentences have an advantage \
here that they have with real models only where these were trained on sentences. Its captions are short: the longest has ten words. \
A run of this length shows each picture some hundred times. Compare the rows with each other; the numbers of steps say nothing of \
real models."""


class Claim(NamedTuple):
    """A sentence of the guide, and the difference that it predicts: ``sign`` 1 where the first share should be larger."""

    text: str
    compared: str
    one: Quantity
    other: Quantity
    sign: int


def _naming() -> Iterator[Claim]:
    features: tuple[tuple[str, What], ...] = (("badge", "badge"), (COLOUR, "colour"))
    for feature, what in features:
        for form in ("tags", "sentence"):
            yield Claim(
                "Describing a feature keeps it from being associated with the other tokens",
                f"{feature} by the trigger alone: {form.removesuffix('s')}s that name it, and that don't",
                Quantity(form, "trigger", what),
                Quantity(f"{form}-unnamed", "trigger", what),
                -1,
            )


CLAIM_LIST = (
    Claim(
        "A single token trains faster",
        "star, average over all saves, prompts like the captions: trigger alone, and sentences that name all",
        Quantity("trigger", "own", "star", "all"),
        Quantity("sentence", "own", "star", "all"),
        1,
    ),
    Claim(
        "More tokens need more of the trained words in the prompt",
        "star, average over all saves, captions are sentences: prompts like them, and the trigger alone",
        Quantity("sentence", "own", "star", "all"),
        Quantity("sentence", "trigger", "star", "all"),
        1,
    ),
    Claim(
        "Recurring features are learned with the token",
        "badge by the trigger alone: captions of trigger and class word, and the base",
        Quantity(REFERENCE, "trigger", "badge"),
        Quantity(BASE, "trigger", "badge"),
        1,
    ),
    Claim(
        "Recurring features are learned with the token",
        f"{COLOUR} by the trigger alone: captions of trigger and class word, and the base",
        Quantity(REFERENCE, "trigger", "colour"),
        Quantity(BASE, "trigger", "colour"),
        1,
    ),
    *_naming(),
    Claim(
        "What a caption names is put down to those words",
        "badge where a sentence asks for it: sentences that name it, and that don't",
        Quantity("sentence", "asked", "badge"),
        Quantity("sentence-unnamed", "asked", "badge"),
        1,
    ),
    Claim(
        "(Captions panel) With the trigger alone, what recurs can't be prompted away",
        "right colour and background by a sentence: sentences that name them, and trigger alone",
        Quantity("sentence", "sentence", "obeyed"),
        Quantity("trigger", "sentence", "obeyed"),
        1,
    ),
    Claim(
        "More tokens reduce the need for regularization",
        "star by the class word, no regularization pictures, equally learned: sentences that name all, and trigger alone",
        Quantity("sentence-without", "class word", "star"),
        Quantity("trigger-without", "class word", "star"),
        -1,
    ),
    Claim(
        "More tokens reduce the need for regularization",
        "the same by the empty prompt",
        Quantity("sentence-without", "empty prompt", "star"),
        Quantity("trigger-without", "empty prompt", "star"),
        -1,
    ),
)
VERDICTS = {1: "seen", 0: "not seen here", -1: "the opposite"}


def section(figures: Figures) -> str:
    """Write the section, with its title."""
    runs = figures.runs[REFERENCE]
    saves = list(next(iter(runs.values()))["saves"])
    pictures = next(iter(runs.values()))["saves"][saves[0]]["own"]["of"]
    base = [figures.share(Quantity(BASE, group, "badge")) for group in ("trigger", "own", "sentence", "asked")]
    introduction = INTRODUCTION.format(
        colour=COLOUR, steps=saves[-1], seeds=figures.seeds, saves=len(saves), pictures=pictures, command=COMMAND,
        base_pictures=f"{sum(one.of for one in base):,}", reference=_label(REFERENCE),
    )  # fmt: skip
    lines = [
        TITLE,
        introduction,
        *(f"| {one.label} | {one.caption(Shown(COLOUR, 'white', True))} |" for one in STRATEGIES.values()),
        SPEED.format(learned=LEARNED),
        *(_speed_line(figures, name) for name in STRATEGIES),
        END,
        *(_end_line(figures, name) for name in (BASE, *STRATEGIES)),
        STUCK.format(colour=COLOUR),
        *(_stuck_line(figures, name) for name in (BASE, *STRATEGIES)),
        BLEEDING.format(learned=LEARNED, every=_every(figures)),
        *_bleeding_lines(figures),
        CLAIMS.format(seeds=figures.seeds),
        *(_claim_line(figures, claim) for claim in CLAIM_LIST if _known(figures, claim)),
        CAVEATS,
    ]
    return wrapped("\n".join(lines)) + "\n"


def of_folder(work: Path) -> str:
    """Write the section from a work folder; empty where it has no figures."""
    runs = read_figures(work)
    return section(complete(runs)) if runs else ""


def existing(page: Path) -> str:
    """Return the section as it stands in a page; empty where it has none."""
    found = _section(page.read_text(encoding="utf-8")) if page.exists() else None
    return found[0].rstrip() + "\n" if found else ""


def write_section(figures: Figures, docs: Path) -> None:
    """Put the section into docs/methods.md, in place of the one that it has."""
    page = docs / "methods.md"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found, new = _section(text), section(figures)
    if found:
        after = text[found.end() :]
        text = text[: found.start()] + new + ("\n" + after if after else "")
    else:
        text = (text.rstrip() + "\n\n" if text.strip() else "") + new
    atomic.text(page, text)


def _section(text: str) -> re.Match[str] | None:
    return re.search(rf"^{re.escape(TITLE)}$.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)


def summary(figures: Figures) -> tuple[list[str], list[list[str]]]:
    """Return the table that the command prints: header and rows."""
    header = ["captions", "steps", "star", "trigger alone", "badge", "asked for", COLOUR, "class word"]
    lines = []
    for name in STRATEGIES:
        steps = _steps(figures.steps_to(name, "own"))
        shares = [
            Quantity(name, "own", "star"),
            Quantity(name, "trigger", "star"),
            Quantity(name, "trigger", "badge"),
            Quantity(name, "asked", "badge"),
            Quantity(name, "trigger", "colour"),
            Quantity(name, "class word", "star"),
        ]
        lines.append([name, steps, *(f"{figures.share(one).value:.2f}" for one in shares)])
    return header, lines


def _label(name: str) -> str:
    return "Base, untrained" if name == BASE else STRATEGIES[name].label


def _known(figures: Figures, claim: Claim) -> bool:
    return claim.one.row in figures.runs and claim.other.row in figures.runs


def _every(figures: Figures) -> str:
    found = next((runs for name, runs in figures.runs.items() if name.endswith("-without")), {})
    return next((next(iter(run["saves"])) for run in found.values()), "–")


def _steps(found: list[float | None]) -> str:
    return " ".join("–" if steps is None else f"{steps:.0f}" for steps in found)


def _shown(figures: Figures, wanted: Quantity) -> str:
    share = figures.share(wanted)
    low, high = share.interval
    return f"{share.value:.2f} ({low:.2f}–{high:.2f})"


def _difference(figures: Figures, wanted: Quantity, reference: str = REFERENCE) -> str:
    if wanted.row in (reference, BASE):
        return ""
    return _effect(figures.effect(wanted, wanted._replace(row=reference)))


def _effect(found: Effect) -> str:
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _speed_line(figures: Figures, name: str) -> str:
    cells = [_label(name)]
    for group in ("own", "trigger"):
        wanted = Quantity(name, group, "star", "all")
        cells += [_steps(figures.steps_to(name, group)), _shown(figures, wanted), _difference(figures, wanted)]
    return row(cells)


def _end_line(figures: Figures, name: str) -> str:
    stars = [_shown(figures, Quantity(name, group, "star")) for group in ("own", "trigger", "sentence")]
    obeyed = Quantity(name, "sentence", "obeyed")
    return row([_label(name), *stars, _shown(figures, obeyed), _difference(figures, obeyed)])


def _stuck_line(figures: Figures, name: str) -> str:
    badge, colour = Quantity(name, "trigger", "badge"), Quantity(name, "trigger", "colour")
    cells = [_label(name), _shown(figures, badge), _difference(figures, badge)]
    cells += [_shown(figures, badge._replace(group=group)) for group in ("sentence", "asked")]
    cells += [_shown(figures, colour), _difference(figures, colour), _shown(figures, colour._replace(group="asked"))]
    return row(cells)


def _bleeding_lines(figures: Figures) -> Iterator[str]:
    for regularized in (True, False):
        reference = Row(STRATEGIES[REFERENCE], regularized).name
        for strategy in STRATEGIES.values():
            name = Row(strategy, regularized).name
            if name not in figures.runs:
                continue
            steps = sorted({int(list(run["saves"])[-1]) for run in figures.runs[name].values()})
            cells = [strategy.label, "yes" if regularized else "no", " ".join(map(str, steps))]
            cells.append(_shown(figures, Quantity(name, "own", "star")))
            for group in ("class word", "empty prompt"):
                wanted = Quantity(name, group, "star")
                there = reference in figures.runs
                cells += [_shown(figures, wanted), _difference(figures, wanted, reference) if there else ""]
            yield row(cells)


def _claim_line(figures: Figures, claim: Claim) -> str:
    found = figures.effect(claim.one, claim.other)
    shares = f"{figures.share(claim.one).value:.2f}, {figures.share(claim.other).value:.2f}"
    return row([claim.text, claim.compared, shares, _effect(found), VERDICTS[claim.sign * found.clear]])
