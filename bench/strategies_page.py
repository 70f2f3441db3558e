"""The section of docs/methods.md on captions, written from the figures of ``bench strategies``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sdft_ext.judge.shares import pooled
from sdft_ext.storage import atomic

from .markdown import row, wrapped
from .strategy_figures import (
    BASE,
    COMMAND,
    ENOUGH,
    GROUPS,
    LEARNED,
    Effect,
    Figures,
    Quantity,
    What,
    complete,
    read_figures,
)
from .strategy_rows import COLOUR, REFERENCE, STRATEGIES, Row, Shown, rows

TITLE = "## Ways to caption"
NOT_MEASURED = f"""{TITLE}

Not measured yet. `{COMMAND}` captions the same pictures of the star in six ways, from the trigger alone to sentences, and trains a \
LoRA with each. It measures how fast each learns, what sticks to the trigger and what bleeds, and writes it here, next to what the \
guide says. It takes about twenty minutes of one core without regularization pictures, and twice as long with them."""
INTRODUCTION = """
The same 16 pictures of the star, captioned in six ways. Half of them show it in {colour}, the others in red, blue or yellow, and \
half have a badge, a small square in the corner: two features that recur and don't belong to the concept. The base knows the word \
"{colour}"; "badge" means nothing to it. A LoRA with the subject's preset learns them, in fewer steps than normal. Each row is {seeds}, \
and runs of the same seed have the same noise. At each of {saves} saves, {pictures} pictures of each kind of prompt \
are drawn, always with the same seeds, and a checker counts what they show. Of {base_pictures} pictures that the untrained base \
drew, it saw a badge in {base_badges}. `{command}` measures all of this again.

Differences are to *{reference}*. {interval} Where it includes 0, no difference is shown.

| captions | a caption |
|---|---|"""
INTERVAL = "Their 95 % interval is the wider of Student's over the seeds and Newcombe's over the pictures."
FEW = """\
Their 95 % interval is Newcombe's over the pictures. It doesn't say how much another run would differ: for that, {enough} runs of \
each row are needed, and so far there {seeds}."""
PARTS = {
    False: "\n### Without regularization pictures, {steps} steps",
    True: "\n### With the example's regularization pictures, {steps} steps",
}
SPEED = """
**How fast the star is learned.** *Steps*: until {learned:.0%} of the pictures show it, between two saves by proportion, in each run \
(–: not within the run). *On average*: the share over all saves, which is larger the earlier the star is learned.

| captions | steps, prompts like its captions | on average | difference | steps, trigger alone | on average | difference |
|---|---|---|---|---|---|---|"""
END = """
**What the last save shows.** Prompts like its captions, and sentences, ask for all colours and backgrounds in turn; *obeyed* is \
the share of pictures by a sentence in the right colour on the right background.

| captions | star: like its captions | trigger alone | sentence | obeyed | difference |
|---|---|---|---|---|---|"""
STUCK = """
**What sticks to the trigger.** The share of pictures of the last save with the badge, and with a {colour} object: by the trigger \
alone; by a sentence that asks for no badge; and by one that asks for a {colour} star with a badge. Half of the training pictures \
have each.

| captions | badge: trigger alone | difference | sentence without | asked for | {colour}: trigger alone | difference | asked for |
|---|---|---|---|---|---|---|---|"""
BLEEDING = """
**What bleeds.** The share of pictures with the class word and without the trigger that show the star, with the first save that has \
learned it ({learned:.0%} of the pictures by prompts like its captions; else the last).

| captions | steps | star: like its captions | class word | difference |
|---|---|---|---|---|"""
CLAIMS = """
### What the guide says, and what was seen

Each claim is compared by one difference, the first share minus the second. It is *seen* where the interval lies on its side of 0, \
*the opposite* on the other, and else *not seen here*, which doesn't prove it wrong: so few runs tell only large differences.

| claim | compared | {parts} |
|---|---|{lines}|"""
PART_NAMES = {False: "without regularization pictures", True: "with them"}
NOT_YET = "\nNot measured yet: the same with regularization pictures."
CAVEATS = """
The toy's base was trained on sentences like "a red circle on a white background" and on no tags, so sentences have an advantage \
here that they have with real models only where these were trained on sentences. The captions are short: the longest has ten words. \
Compare the rows with each other; the numbers of steps say nothing of real models."""


FEATURES: tuple[tuple[str, What], ...] = (("badge", "badge"), (COLOUR, "colour"))


class Claim(NamedTuple):
    """A claim, and the difference that it predicts: ``sign`` 1 where the first share should be larger, -1 smaller.

    Both are of rows without regularization pictures.
    """

    text: str
    compared: str
    one: Quantity
    other: Quantity
    sign: int

    def of_rows(self, names: Mapping[str, str]) -> Claim:
        """Return the claim about other rows of the same strategies, by the names of these."""
        one, other = (each._replace(row=names.get(each.row, each.row)) for each in (self.one, self.other))
        return self._replace(one=one, other=other)


def _naming() -> Iterator[Claim]:
    for feature, what in FEATURES:
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
    *(
        Claim(
            "Recurring features are learned with the token",
            f"{feature} by the trigger alone: captions of trigger and class word, and the base",
            Quantity(REFERENCE, "trigger", what),
            Quantity(BASE, "trigger", what),
            1,
        )
        for feature, what in FEATURES
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
        "(Captions panel) What captions name, prompts can change",
        "right colour and background by a sentence: sentences that name them, and trigger alone",
        Quantity("sentence", "sentence", "obeyed"),
        Quantity("trigger", "sentence", "obeyed"),
        1,
    ),
    Claim(
        "More tokens reduce the need for regularization",
        "star by the class word, equally learned: sentences that name all, and trigger alone",
        Quantity("sentence", "class word", "star", "learned"),
        Quantity("trigger", "class word", "star", "learned"),
        -1,
    ),
)
VERDICTS = {1: "seen", 0: "not seen here", -1: "the opposite"}


def section(figures: Figures) -> str:
    """Write the section, with its title."""
    saves = next(iter(figures.runs[REFERENCE].values()))["saves"]
    base = pooled(figures.share(Quantity(BASE, group, "badge")) for group in GROUPS)
    introduction = INTRODUCTION.format(
        colour=COLOUR, seeds=_runs(figures.seeds), saves=len(saves), pictures=saves[min(saves, key=int)]["own"]["of"],
        command=COMMAND, base_pictures=f"{base.of:,}", base_badges=base.hits, reference=_label(REFERENCE),
        interval=INTERVAL if figures.seeds >= ENOUGH else FEW.format(enough=ENOUGH, seeds="is one" if figures.seeds == 1 else "are two"),
    )  # fmt: skip
    text = [TITLE, introduction]
    text += [row([one.label, one.caption(Shown(COLOUR, "white", True))]) for one in STRATEGIES.values()]
    parts = [regularized for regularized in (False, True) if _names(regularized).keys() <= figures.runs.keys()]
    for regularized in parts:
        text += _part(figures, regularized)
    text += [] if len(parts) == 2 else [NOT_YET]
    titles = [cell for part in parts for cell in (PART_NAMES[part], "difference", "")]
    text.append(CLAIMS.format(parts=" | ".join(titles), lines="---|" * (len(titles) - 1) + "---"))
    text += [_claim_line(figures, claim, parts) for claim in CLAIM_LIST]
    return wrapped("\n".join([*text, CAVEATS])) + "\n"


def _part(figures: Figures, regularized: bool) -> Iterator[str]:
    """Write the tables of the runs with regularization pictures, or of those without."""
    names = list(_names(regularized))
    last = list(next(iter(figures.runs[names[0]].values()))["saves"])[-1]
    yield PARTS[regularized].format(steps=last)
    yield SPEED.format(learned=LEARNED)
    yield from (_speed_line(figures, name) for name in names)
    yield END
    yield from (_end_line(figures, name) for name in (BASE, *names))
    yield STUCK.format(colour=COLOUR)
    yield from (_stuck_line(figures, name) for name in (BASE, *names))
    yield BLEEDING.format(learned=LEARNED)
    yield from (_bleeding_line(figures, name) for name in names)


def _names(regularized: bool) -> dict[str, str]:
    """Return the rows of one half, each with its strategy's name."""
    return {one.name: one.strategy.name for one in rows(regularized)}


def not_measured() -> str:
    """Write the section of a page without figures."""
    return wrapped(NOT_MEASURED) + "\n"


def of_folder(work: Path) -> str:
    """Write the section from a work folder; empty where it has no figures."""
    runs = read_figures(work)
    return section(complete(runs, len(runs[BASE]))) if BASE in runs else ""


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
    for name in (name for regularized in (False, True) for name in _names(regularized) if name in figures.runs):
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
    return "Base, untrained" if name == BASE else STRATEGIES[_strategy(name)].label


def _strategy(name: str) -> str:
    return name if name in STRATEGIES else _names(True)[name]


def _runs(count: int) -> str:
    return "one run" if count == 1 else f"{count} runs with different seeds"


def _steps(found: list[float | None]) -> str:
    return " ".join("–" if steps is None else f"{steps:.0f}" for steps in found)


def _shown(figures: Figures, wanted: Quantity) -> str:
    share = figures.share(wanted)
    low, high = share.interval
    return f"{share.value:.2f} ({low:.2f}–{high:.2f})"


def _difference(figures: Figures, wanted: Quantity) -> str:
    if wanted.row == BASE or _strategy(wanted.row) == REFERENCE:
        return ""
    reference = Row(STRATEGIES[REFERENCE], regularized=wanted.row not in STRATEGIES).name
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


def _bleeding_line(figures: Figures, name: str) -> str:
    bleeding = Quantity(name, "class word", "star", "learned")
    steps = " ".join(map(str, figures.learned_at(name)))
    own = _shown(figures, bleeding._replace(group="own"))
    return row([_label(name), steps, own, _shown(figures, bleeding), _difference(figures, bleeding)])


def _claim_line(figures: Figures, claim: Claim, parts: Sequence[bool]) -> str:
    cells = [claim.text, claim.compared]
    for regularized in parts:
        names = {strategy: name for name, strategy in _names(regularized).items()}
        one = claim.of_rows(names)
        found = figures.effect(one.one, one.other)
        shares = f"{figures.share(one.one).value:.2f}, {figures.share(one.other).value:.2f}"
        cells += [shares, _effect(found), VERDICTS[claim.sign * found.clear]]
    return row(cells)
