"""The recipe's reference, written from its fields: ``docs/recipe.md`` and the command line's help."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import Any

from .recipe import Recipe
from .rules import Setting, fields, section_in_list, types

INTRODUCTION = """\
# Recipe

Every setting of a run. This page is written from the fields of [`sdft_ext/recipe/`](../sdft_ext/recipe) by
`python -m sdft_ext recipe --docs`; `python -m sdft_ext recipe` prints the same as a commented file to start from.

- A recipe is YAML. Every value is read as text and then converted to its setting's type, so a trigger of `0123`, `on`
  or `${a}` stays what you typed. Settings that a recipe doesn't name have their defaults. Unknown names are errors.
- On the command line, `section.key=value` changes a setting: `train.learning_rate=1e-4`,
  `dataset.concepts.0.trigger=sks`, `method.lora.block_ranks.mid_block=4`, `watch.concept_prompts=["a sks dog"]`.
- Relative paths in a recipe file start at that file's folder, so that a recipe can move with its pictures; those typed
  on the command line start at the current folder. `~` is your home folder. A run keeps its recipe with absolute paths.
"""


def markdown() -> str:
    """Write the page ``docs/recipe.md``."""
    lines = [INTRODUCTION]
    top = [setting for setting in fields(Recipe) if "." not in setting.path]
    lines += ["## Top", "", *_table(top)]
    for path, label, help_ in sections(Recipe):
        own = [setting for setting in fields(Recipe) if setting.path.rpartition(".")[0] == path.replace(".N", ".0")]
        lines += ["", f"## {label}: `{path}`", "", help_, "", *_table(own)]
    return "\n".join(lines) + "\n"


def help_text(width: int = 100) -> str:
    """List every setting for ``train --help``: path, default, what it does, what is allowed."""
    lines = ["settings (section.key=value, default shown):"]
    for setting in fields(Recipe):
        text = f"{setting.label}: {setting.help}{_only(setting)}" + (
            "" if setting.type is str else f" ({setting.allowed})"
        )
        lines.append(f"  {setting.path}={_default(setting)}")
        lines += textwrap.wrap(text, width, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)


def sections(of: Any, prefix: str = "") -> list[tuple[str, str, str]]:
    """Return path, label and help of every section; in a list's sections, ``N`` stands for the number."""
    found = []
    for field in dataclasses.fields(of):
        hint = types(of)[field.name]
        item = section_in_list(hint)
        section = item or (hint if dataclasses.is_dataclass(hint) else None)
        if section is not None:
            path = f"{prefix}{field.name}" + (".N" if item else "")
            found.append((path, field.metadata["label"], field.metadata["help"]))
            found += sections(section, path + ".")
    return found


def _table(settings: list[Setting]) -> list[str]:
    rows = ["| setting | default | allowed | what it does |", "|---|---|---|---|"]
    for setting in settings:
        name, default = setting.path.rpartition(".")[2], _default(setting)
        kind = "a path" if setting.is_path else setting.allowed
        cells = [
            f"`{name}`",
            f"`{default}`" if default else "",
            kind,
            f"**{setting.label}.** {setting.help}{_only(setting)}",
        ]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def _only(setting: Setting) -> str:
    """Name the methods that use a setting; empty where all do."""
    return f" Only for {', '.join(setting.methods)}." if setting.methods else ""


def _default(setting: Setting) -> str:
    if isinstance(setting.value, bool):
        return "true" if setting.value else "false"
    if isinstance(setting.value, list | dict):
        return "[]" if isinstance(setting.value, list) else "{}"
    return str(setting.value)
