"""Damaged files of a run are set aside; they, and missing ones, are made anew from what else the folder holds: the run
stays resumable.
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..storage import json_file
from ..storage.free_name import free_name
from . import dataset, facts, log, trash
from .save_names import TRY
from .saves import INDEX, Save, sound_entries

CONTROLS = "controls/index.json"
NOTES = "repaired"
KINDS: dict[str, type] = {facts.FILE: dict, dataset.FILE: dict, INDEX: list, CONTROLS: dict}
LOST = {
    facts.FILE: "the time trained so far, and which model files the run began with, aren't known any more",
    dataset.FILE: "whether pictures or captions have changed since the run began can't be checked",
    INDEX: "the list of saves was made anew from the log",
    CONTROLS: "the list of control pictures was made anew from their files",
}
_NUMBERED = re.compile(r"-\d{6}$")


def repair(folder: Path) -> list[str]:
    """Set what is damaged aside, as ``NAME.damaged``, and rebuild it and what is missing; return a sentence for each
    file.

    Raises OSError where a file can't be read at present: nothing is changed then.
    """
    damaged = [name for name, kind in KINDS.items() if _is_damaged(folder / name, kind)]
    lines = log.read(folder)
    saves, controls = _saves_in_place(folder, lines), _control_steps(folder / "controls")
    expected = {facts.FILE: bool(lines), dataset.FILE: bool(lines), INDEX: bool(saves), CONTROLS: bool(controls)}
    missing = [name for name in KINDS if expected[name] and not os.path.lexists(folder / name)]
    sentences = [_set_aside(folder, name) for name in damaged]
    sentences += [f"{name} was missing: {LOST[name]}." for name in missing]
    lost = {*damaged, *missing}
    if INDEX in lost:
        json_file.write(folder / INDEX, saves)
    if CONTROLS in lost:
        json_file.write(folder / CONTROLS, {"steps": controls, "prompts": []})
    if facts.FILE in lost and (stem := _stem(lines)):
        facts.add_facts(folder, stem=stem)
    return sentences


def keep_notes(folder: Path, sentences: list[str]) -> None:
    """Keep what ``repair`` returned until the run is resumed, which logs it."""
    if sentences:
        facts.add_facts(folder, **{NOTES: [*_notes(folder), *sentences]})


def take_notes(folder: Path) -> list[str]:
    """Return the sentences that were kept, and forget them."""
    found = _notes(folder)
    if found:
        facts.add_facts(folder, **{NOTES: []})
    return found


def _notes(folder: Path) -> list[str]:
    found = facts.read_facts(folder).get(NOTES)
    return [str(text) for text in found] if isinstance(found, list) else []


def _is_damaged(path: Path, kind: type) -> bool:
    try:
        found = json_file.read(path, missing=kind())
    except json_file.JsonFileError:
        return True
    if not isinstance(found, kind):
        return True
    return path.name == Path(INDEX).name and isinstance(found, list) and len(sound_entries(found)) < len(found)


def _set_aside(folder: Path, name: str) -> str:
    path = folder / name
    aside = path.with_name(free_name(f"{path.name}.damaged", lambda taken: path.with_name(taken).exists()))
    os.replace(path, aside)
    return f"{name} was damaged and is now {aside.name}: {LOST[name]}."


def _saves_in_place(folder: Path, lines: list[log.Line]) -> list[dict[str, Any]]:
    """List the saves that the log tells of, without those that have been moved to the trash."""
    gone = [one.save for one in trash.deleted(folder) if one.save.file in one.stored]
    names = {(save.file, save.step) for save in gone if not (folder / "saves" / save.file).exists()}
    return [entry for entry in listed_saves(lines) if (entry["file"], entry["step"]) not in names]


def listed_saves(lines: list[log.Line]) -> list[dict[str, Any]]:
    """List the saves that the log tells of, the last one of each step."""
    found: dict[int, dict[str, Any]] = {}
    figures = {line["step"]: line for line in lines if "loss" in line}
    for line in lines:
        if line.get("event") == "save" and TRY not in str(line.get("file")):
            step = line["step"]
            figure = figures.get(step, {})
            listed = str(line.get("listed") or line["file"])
            further, scheduled = list(line.get("further", [])), line.get("scheduled") is not False
            epoch, loss = int(figure.get("epoch", 1)), figure.get("smoothed")
            found[step] = asdict(Save(listed, step, epoch, loss, further, scheduled))
    return [found[step] for step in sorted(found)]


def _control_steps(folder: Path) -> list[int]:
    names = {path.stem.removeprefix("step-") for path in folder.glob("*/*/step-*.png")}
    return sorted(int(name) for name in names if name.isdigit())


def _stem(lines: list[log.Line]) -> str | None:
    """Find what the run's saves begin with; None before the first one."""
    for line in lines:
        if line.get("event") == "save":
            return _NUMBERED.sub("", Path(str(line["file"])).stem)
    return None
