"""Carries out a plan: whole files into another folder, no original touched; what is there already is left as it is."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from ..dataset import cropping
from ..dataset.folder import CAPTION_BYTES, CAPTION_ENDINGS, Picture
from ..dataset.pictures import PictureError
from ..dataset.trash import TrashError
from ..storage import atomic
from ..storage.text import printable
from .focus import Looker
from .options import Options, PreparationError
from .plan import Action, Plan
from .record import Record, stamp
from .stale_outputs import take_away

AT_ONCE = max(min(4, (os.cpu_count() or 2) - 1), 1)
"""Pictures made at the same time."""
VERSION = 1
"""Changes when the same plan would give other files."""

Progress = Callable[[int, int], None]
"""Called with (pictures done, all)."""


@dataclass
class Result:
    """Counts of pictures, and a sentence for each that could not be made or would have replaced somebody's file."""

    written: int = 0
    skipped: int = 0
    cancelled: bool = False
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    """A file's name below the folder of results, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class _Made:
    """What came of one action: its files, the picture last; or nothing as it is there; or a sentence."""

    action: Action
    key: str = ""
    files: tuple[_File, ...] = ()
    names: tuple[str, ...] = ()
    """Of the files that belong to it, written now or before."""
    problem: str = ""


def check(plan: Plan) -> Record:
    """The record of the plan's folder. Raises PreparationError where the folder holds what no preparation has
    written.
    """
    out = plan.out
    record = Record(out, plan.folder)
    if out.exists() and not out.is_dir():
        raise PreparationError(f"{printable(out)} is a file; choose a folder.")
    if plan.beside:
        return record
    if record.found and record.other not in ("", record.source):
        raise PreparationError(
            f"{printable(out)} holds pictures prepared from {printable(record.other)}; choose a new folder for these."
        )
    if not record.found:
        try:
            held = next((entry.name for entry in os.scandir(out)), None) if out.exists() else None
        except OSError as error:
            raise PreparationError(
                f"{printable(out)} can't be listed ({error.strerror}); change its permissions or choose another folder."
            ) from error
        if held is not None:
            raise PreparationError(
                f"{printable(out)} is not empty (it holds {printable(held)}); choose a new folder, so that nothing "
                f"gets mixed up."
            )
    return record


def execute(
    plan: Plan,
    looker: Looker,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Result:
    """Write the plan's pictures, each with its caption and mask; what only earlier preparations made goes to the trash.

    Ends early, with whole files, once ``cancelled()``.
    A picture that can't be made costs a sentence. Raises PreparationError where the folder can't be used or written.
    """
    record = check(plan)
    if not plan.beside:  # there others may be writing; what a kill left half written has hidden names anyway
        for folder in {plan.out / PurePosixPath(action.target).parent for action in plan.actions}:
            atomic.clear(folder)
    record.save()
    done = Result()
    groups = [list(group) for _, group in groupby(plan.actions, key=lambda action: action.source)]
    count = 0
    kept: set[str] = set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(groups), 4 * AT_ONCE):
            for made in pool.map(partial(_make, plan, looker, record, cancelled), groups[start : start + 4 * AT_ONCE]):
                if cancelled():
                    done.cancelled = True
                    break
                for one in made:
                    _put(plan, record, one, done)
                    kept.update(one.names)
                count += len(made)
                record.save(now=False)
                if progress is not None:
                    progress(count, len(plan.actions))
            if done.cancelled:
                break
    record.save()
    if not done.cancelled:
        try:
            take_away(plan, record, kept)
        except TrashError as error:
            done.problems.append(str(error))
    return done


def _make(
    plan: Plan, looker: Looker, record: Record, cancelled: Callable[[], bool], actions: Sequence[Action]
) -> list[_Made]:
    """The files of one original's actions, in memory. It is decoded once for all actions that resize it alike."""
    if cancelled():
        return []
    found: list[_Made] = []
    opened: tuple[Any, Any] = (None, None)
    for_size: tuple[int, int] | str | None = "nothing yet"
    for action in actions:
        try:
            caption = _caption(action.picture, plan)
            key = _key(plan, action, caption)
            if record.done(action.target, key):
                found.append(_Made(action, key, names=_names(action, caption, plan.options)))
                continue
            geometry = action.geometry
            if geometry is not None and action.looked:
                geometry = looker.place(action.picture, geometry, plan.options.focus)
            size = None if geometry is None else geometry.resized
            if size != for_size:
                opened, for_size = cropping.open_with_mask(action.picture, plan.recipe, size), size
            files = tuple(_files(action, geometry, opened, caption, plan.options))
            found.append(_Made(action, key, files, tuple(file.name for file in files)))
        except (PictureError, OSError) as error:
            found.append(_Made(action, names=_names(action, None, plan.options), problem=_sentence(action, error)))
    return found


def _files(
    action: Action, geometry: Any, opened: tuple[Any, Any], caption: tuple[str, bytes] | None, options: Options
) -> Iterator[_File]:
    """Caption and mask before the picture: where that is, they are."""
    image, mask = opened
    if geometry is not None:
        image = cropping.crop(image, geometry, action.flip)
        mask = None if mask is None else cropping.crop_mask(mask, geometry, action.flip)
    elif action.flip:
        image = cropping.mirror(image)
        mask = None if mask is None else cropping.mirror(mask)
    stem = os.path.splitext(action.target)[0]
    if caption is not None:
        yield _File(stem + caption[0], caption[1])
    if mask is not None and mask.getextrema()[0] < 255:  # all white is no mask
        yield _File(f"{stem}-mask.png", _encoded(mask, "png", 100))
    yield _File(action.target, _encoded(image, options.format, options.quality))


def _names(action: Action, caption: tuple[str, bytes] | None, options: Options) -> tuple[str, ...]:
    """Of the files that an action has, or may have: without a caption, of any that it could get."""
    stem = os.path.splitext(action.target)[0]
    endings = CAPTION_ENDINGS if caption is None else (caption[0],)
    masked = action.picture.mask_path is not None or (action.picture.has_alpha and options.alpha == "mask")
    return (action.target, *(stem + ending for ending in endings), *([f"{stem}-mask.png"] if masked else []))


def _encoded(image: Any, format: str, quality: int) -> bytes:
    """A file's bytes: pixels and colour profile; what else the original said (its turn, its transparency) is in the
    pixels.
    """
    profile = image.info.get("icc_profile")
    plain = image.copy()
    plain.info = {}
    settings: dict[str, Any] = {"icc_profile": profile} if profile and image.mode == "RGB" else {}
    if format == "jpeg":
        settings |= {"quality": quality, "subsampling": 0 if quality >= 90 else 2, "optimize": True}
    elif format == "webp":
        settings |= {"quality": quality, "lossless": quality == 100, "method": 4}
    buffer = io.BytesIO()
    plain.save(buffer, format.upper(), **settings)
    return buffer.getvalue()


def _put(plan: Plan, record: Record, made: _Made, done: Result) -> None:
    """Write what was made. A file that somebody else wrote, or has changed since, stays as it is and costs a
    sentence.
    """
    if made.problem:
        done.problems.append(made.problem)
        return
    if not made.files:
        done.skipped += 1
        return
    written = False
    for file in made.files:
        path = plan.out / file.name
        problem = _in_the_way(plan, record, file)
        if problem:
            if done.problems[-1:] != [problem]:  # a link is in the way of all that lies below it
                done.problems.append(problem)
            if file.name == made.action.target:
                return
            continue
        if _same(path, file.data):
            record.note(file.name)
            continue
        try:
            atomic.write(path, partial(_write_bytes, data=file.data))
        except OSError as error:
            record.save()
            raise PreparationError(
                f"{printable(path)} can't be written ({os.strerror(error.errno or 0)}): free space or choose another "
                f"folder; "
                "what is written stays, and the same preparation goes on from there."
            ) from error
        record.note(file.name)
        written = True
    record.keys[made.action.target] = made.key
    done.written += written
    done.skipped += not written


def _in_the_way(plan: Plan, record: Record, file: _File) -> str:
    path = plan.out / file.name
    real, root = Path(os.path.realpath(path.parent)), Path(os.path.realpath(plan.out))
    if real != root and root not in real.parents:
        return f"{printable(path.parent)} is a link out of the folder; remove the link."
    if stamp(path) is None or record.ours(file.name) or _same(path, file.data):
        return ""
    if file.name in record.files:
        return (
            f"{printable(path)} was changed after it was prepared and is kept as it is; move it away to have it "
            f"made again."
        )
    return f"{printable(path)} is there already and wasn't made by a preparation; it is kept: move it away."


def _same(path: Path, data: bytes) -> bool:
    found = stamp(path)
    if found is None or found[0] != len(data) or path.is_symlink():
        return False
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _caption(picture: Picture, plan: Plan) -> tuple[str, bytes] | None:
    """Ending and bytes of a picture's caption: its file's own, or what its name or folder say, in a file of its own."""
    if plan.recipe.captions != "filename":
        for ending in (*CAPTION_ENDINGS, *(ending.upper() for ending in CAPTION_ENDINGS)):
            path = picture.path.with_name(os.path.splitext(picture.path.name)[0] + ending)
            if path.is_file():
                with open(path, "rb") as file:
                    data = file.read(CAPTION_BYTES + 1)
                if len(data) <= CAPTION_BYTES:  # a longer one is no caption for the training either
                    return ending.lower(), data
                break
    return (CAPTION_ENDINGS[0], f"{picture.caption}\n".encode()) if picture.caption else None


def _key(plan: Plan, action: Action, caption: tuple[str, bytes] | None) -> str:
    """All that an action's files depend on."""
    o, p = plan.options, action.picture
    focus = o.focus if action.looked else ""
    quality = o.quality if o.format != "png" else 0
    mask = None if p.mask_path is None else stamp(p.mask_path)
    behind = (o.alpha, o.background) if p.has_alpha else None
    facts = (
        VERSION,
        action.source,
        stamp(p.path),
        mask,
        caption,
        action.geometry,
        action.flip,
        focus,
        behind,
        o.format,
        quality,
    )
    return hashlib.blake2b(repr(facts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _sentence(action: Action, error: Exception) -> str:
    if isinstance(error, PictureError):
        return str(error)
    return f"{printable(action.source)} was left out: {printable(error)}."


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
