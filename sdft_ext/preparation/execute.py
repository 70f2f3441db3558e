"""Carry out a plan: write whole files into another folder. Originals are never changed, other files never replaced."""

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
from ..dataset.folder import CAPTION_BYTES, Picture
from ..dataset.links import LinkError, check_write
from ..dataset.pairing import CAPTION_ENDINGS
from ..dataset.pictures import PictureError
from ..dataset.trash import TrashError
from ..storage import atomic
from ..storage.hidden_folder import NAME
from ..storage.regular_file import read_start
from ..storage.text import printable
from .focus import CropFinder
from .options import Options, PreparationError
from .plan import Action, Plan
from .record import Record, stamp
from .stale_outputs import remove_stale

AT_ONCE = max(min(4, (os.cpu_count() or 2) - 1), 1)
"""Pictures prepared in parallel."""
VERSION = 1
"""Increases when the same plan would give other files."""

Progress = Callable[[int, int], None]
"""Called with (pictures done, total)."""


@dataclass
class Result:
    """Counts of pictures, and a sentence for each file that couldn't be prepared or would have replaced another."""

    written: int = 0
    skipped: int = 0
    cancelled: bool = False
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _File:
    """A file to write: its name below the output folder, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class _Output:
    """The result of one action: its files, the picture last; no files where they exist already; or a problem."""

    action: Action
    key: str = ""
    files: tuple[_File, ...] = ()
    names: tuple[str, ...] = ()
    """Names of its files, whether written now or before."""
    problem: str = ""


def check(plan: Plan) -> Record:
    """Return the record of the output folder. Raises PreparationError where the folder has files that no preparation of
    these pictures has written, unless the output goes among the originals.
    """
    out = plan.out
    record = Record(out, plan.folder)
    if out.exists() and not out.is_dir():
        raise PreparationError(f"{printable(out)} is a file; choose a folder.")
    if plan.in_place:
        return record
    if record.exists and record.former_source not in ("", record.source):
        raise PreparationError(
            f"{printable(out)} contains pictures prepared from {printable(record.former_source)}; choose a new folder "
            "for these."
        )
    if not record.exists:
        try:
            # The hidden folder of a preparation that ended before it could write its record is no obstacle.
            names = os.listdir(out) if out.exists() else []
            content = next((name for name in sorted(names) if name != NAME), None)
        except OSError as error:
            raise PreparationError(
                f"{printable(out)} can't be listed ({error.strerror}); change its permissions or choose another folder."
            ) from error
        if content is not None:
            raise PreparationError(
                f"{printable(out)} is not empty (it contains {printable(content)}); choose a new folder."
            )
    return record


def execute(
    plan: Plan,
    finder: CropFinder,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Result:
    """Write the plan's pictures, each with its caption and mask; move stale files of earlier preparations to the trash.

    Ends early, with whole files, once ``cancelled()`` is true. Pictures that can't be prepared are listed as problems.
    Raises PreparationError where the folder can't be used or written.
    """
    record = check(plan)
    if not plan.in_place:  # other programs may be writing there; temporary files have hidden names anyway
        for folder in {plan.out / PurePosixPath(action.target).parent for action in plan.actions}:
            atomic.clear(folder)
    record.save()
    done = Result()
    groups = [list(group) for _, group in groupby(plan.actions, key=lambda action: action.source)]
    count = 0
    current: set[str] = set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(groups), 4 * AT_ONCE):
            block = groups[start : start + 4 * AT_ONCE]
            for outputs in pool.map(partial(_prepare, plan, finder, record, cancelled), block):
                if cancelled():
                    done.cancelled = True
                    break
                for output in outputs:
                    _write(plan, record, output, done)
                    current.update(output.names)
                count += len(outputs)
                record.save(now=False)
                if progress is not None:
                    progress(count, len(plan.actions))
            if done.cancelled:
                break
    record.save()
    if not done.cancelled:
        try:
            remove_stale(plan, record, current)
        except TrashError as error:
            done.problems.append(str(error))
    return done


def _prepare(
    plan: Plan, finder: CropFinder, record: Record, cancelled: Callable[[], bool], actions: Sequence[Action]
) -> list[_Output]:
    """Prepare the files of one original's actions in memory. It is decoded once for actions that resize it alike."""
    if cancelled():
        return []
    found: list[_Output] = []
    opened: tuple[Any, Any] = (None, None)
    opened_size: tuple[int, int] | str | None = "not opened"
    for action in actions:
        try:
            caption = _caption(action.picture, plan)
            key = _key(plan, action, caption)
            if record.done(action.target, key):
                found.append(_Output(action, key, names=_names(action, caption, plan.options)))
                continue
            geometry = action.geometry
            if geometry is not None and action.by_content:
                geometry = finder.place(action.picture, geometry, plan.options.focus)
            size = None if geometry is None else geometry.resized
            if size != opened_size:
                opened, opened_size = cropping.open_with_mask(action.picture, plan.recipe, size), size
            files = tuple(_files(action, geometry, opened, caption, plan.options))
            found.append(_Output(action, key, files, tuple(file.name for file in files)))
        except (PictureError, OSError) as error:
            found.append(_Output(action, names=_names(action, None, plan.options), problem=_sentence(action, error)))
    return found


def _files(
    action: Action, geometry: Any, opened: tuple[Any, Any], caption: tuple[str, bytes] | None, options: Options
) -> Iterator[_File]:
    """Yield an action's files: caption and mask before the picture, so that a picture is never without them."""
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
    if mask is not None and mask.getextrema()[0] < 255:  # an all-white mask changes nothing
        yield _File(f"{stem}-mask.png", _encoded(mask, "png", 100))
    yield _File(action.target, _encoded(image, options.format, options.quality))


def _names(action: Action, caption: tuple[str, bytes] | None, options: Options) -> tuple[str, ...]:
    """Return the names of an action's files; without a caption, those of all caption files that it could have."""
    stem = os.path.splitext(action.target)[0]
    endings = CAPTION_ENDINGS if caption is None else (caption[0],)
    masked = action.picture.mask_path is not None or (action.picture.has_alpha and options.alpha == "mask")
    return (action.target, *(stem + ending for ending in endings), *([f"{stem}-mask.png"] if masked else []))


def _encoded(image: Any, format: str, quality: int) -> bytes:
    """Encode an image with its colour profile; the original's rotation and transparency are in the pixels already."""
    profile = image.info.get("icc_profile") or b""
    plain = image.copy()
    plain.info = {}
    # Bytes 16 to 19 name the pixels that a profile is for (ICC.1, §7.2.6); the original's may have been CMYK or grey.
    settings: dict[str, Any] = {"icc_profile": profile} if image.mode == "RGB" and profile[16:20] == b"RGB " else {}
    if format == "jpeg":
        settings |= {"quality": quality, "subsampling": 0 if quality >= 90 else 2, "optimize": True}
    elif format == "webp":
        settings |= {"quality": quality, "lossless": quality == 100, "method": 4}
    buffer = io.BytesIO()
    plain.save(buffer, format.upper(), **settings)
    return buffer.getvalue()


def _write(plan: Plan, record: Record, output: _Output, done: Result) -> None:
    """Write an output's files. One that another program wrote, or that was changed since, stays and is a problem.

    Raises PreparationError where a file can't be written.
    """
    if output.problem:
        done.problems.append(output.problem)
        return
    if not output.files:
        done.skipped += 1
        return
    written = False
    for file in output.files:
        path = plan.out / file.name
        problem = _obstacle(plan, record, file)
        if problem:
            if done.problems[-1:] != [problem]:  # a link is the same obstacle for all files below it
                done.problems.append(problem)
            if file.name == output.action.target:
                return
            continue
        if _same(path, file.data):
            record.add(file.name)
            continue
        try:
            atomic.write(path, partial(_write_bytes, data=file.data))
        except OSError as error:
            record.save()
            raise PreparationError(
                f"{printable(path)} can't be written ({os.strerror(error.errno or 0)}): free space or choose another "
                "folder. Files that are written stay, and the same preparation continues from there."
            ) from error
        record.add(file.name)
        written = True
    record.keys[output.action.target] = output.key
    done.written += written
    done.skipped += not written


def _obstacle(plan: Plan, record: Record, file: _File) -> str:
    """Say why a file may not be written; '' if it may."""
    path = plan.out / file.name
    try:
        check_write(plan.out, path)
    except LinkError as error:
        return str(error)
    if stamp(path) is None or record.is_unchanged(file.name) or _same(path, file.data):
        return ""
    if file.name in record.files:
        return (
            f"{printable(path)} was changed after it was prepared, so it was not replaced; move it away to have it "
            "prepared again."
        )
    return (
        f"{printable(path)} was not written by a preparation, so it was not replaced; move it away to have it prepared."
    )


def _same(path: Path, data: bytes) -> bool:
    found = stamp(path)
    if found is None or found[0] != len(data) or path.is_symlink():
        return False
    try:
        return path.read_bytes() == data
    except OSError:
        return False


def _caption(picture: Picture, plan: Plan) -> tuple[str, bytes] | None:
    """Return ending and bytes of a picture's caption: those of its file, or the caption from its name or folder."""
    path = picture.text_file
    if plan.recipe.captions != "filename" and path is not None:
        data = read_start(path, CAPTION_BYTES + 1)
        if len(data) <= CAPTION_BYTES:  # training ignores a longer one too
            return path.suffix.lower(), data
    return (CAPTION_ENDINGS[0], f"{picture.caption}\n".encode()) if picture.caption else None


def _key(plan: Plan, action: Action, caption: tuple[str, bytes] | None) -> str:
    """Return a hash of everything that an action's files depend on."""
    o, p = plan.options, action.picture
    focus = o.focus if action.by_content else ""
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
