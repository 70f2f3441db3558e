"""Prompts of other programs' sample pictures → control prompts: with the trigger, or without it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .draft import Draft, shown


@dataclass(frozen=True)
class SamplePrompt:
    """A sample picture's prompt and settings; None where it has none of its own."""

    prompt: str
    negative: str | None = None
    seed: int | None = None
    guidance: float | None = None
    steps: int | None = None
    size: int | None = None


_OPTION = re.compile(r"\s--([a-z]+)\s+((?:(?!\s--[a-z]+\s).)*)", re.DOTALL)
MOST = 50
"""Prompts that are taken over."""


def kohya_prompts(text: str) -> list[SamplePrompt]:
    """Parse kohya's prompt file: a prompt a line, with options after it (``--n`` negative, ``--w`` width, ``--d`` seed,
    ``--l`` CFG scale, ``--s`` steps); lines that begin with # are comments.
    """
    found = []
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        prompt = re.split(r"\s--[a-z]+\s", line, maxsplit=1)[0].strip()
        options = {match[1]: match[2].strip() for match in _OPTION.finditer(line)}
        found.append(
            SamplePrompt(
                prompt,
                options.get("n"),
                _whole(options.get("d")),
                _number(options.get("l")),
                _whole(options.get("s")),
                _whole(options.get("w")),
            )
        )
    return found


def set_prompts(draft: Draft, prompts: Sequence[SamplePrompt], name: str) -> None:
    """Set the control prompts: those with a concept's trigger should show it, the others should stay as they are.

    Negative prompt, CFG scale, steps and size are the first prompt's, as here all have the same.
    """
    prompts = [one for one in prompts if one.prompt][:MOST]
    if not prompts:
        return
    triggers = [concept.trigger for concept in draft.recipe.dataset.concepts if concept.trigger]
    having = [one.prompt for one in prompts if not triggers or any(_has(one.prompt, word) for word in triggers)]
    lacking = [one.prompt for one in prompts if one.prompt not in having]
    if having:
        draft.set("watch.concept_prompts", having, name, having)
    if lacking:
        draft.set("watch.bleeding_prompts", lacking, name, lacking)
    first = prompts[0]
    for path, attribute in (
        ("watch.negative", "negative"),
        ("watch.seed", "seed"),
        ("watch.guidance", "guidance"),
        ("watch.sampler_steps", "steps"),
        ("watch.size", "size"),
    ):
        value = getattr(first, attribute)
        if value is not None and not (attribute == "seed" and value < 0):
            draft.set(path, value, name, value)
        others = {getattr(one, attribute) for one in prompts} - {value}
        if others and attribute != "seed":
            draft.note(
                f"{name}: all control pictures have one {attribute.replace('steps', 'number of steps')} here, that of "
                f"the first prompt ({shown(value)}). See the section watch."
            )


def _has(prompt: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", prompt, re.IGNORECASE) is not None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,18}", text) else None


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text) else None
