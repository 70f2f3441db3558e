"""The preparation of pictures from a page: plans, crops and masks by hand, and one preparation at a time."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ..dataset import crops
from ..dataset.buckets import Geometry
from ..dataset.folder import DatasetError, Picture, Scan
from ..dataset.pictures import PictureError
from ..preparation import execute, masks, record
from ..preparation.focus import CropFinder, Faces
from ..preparation.options import PreparationError, from_plain
from ..preparation.plan import Action, Plan, plan
from ..preparation.stale_outputs import note_stale
from ..recipe import Concept, DatasetRecipe, Recipe
from ..storage.free_name import numbered
from ..storage.hidden_folder import HiddenFolderError
from .background import Cancelled, Job
from .errors import DeskError, NotFound, NotNow
from .folders import Folders
from .scans import Scans
from .thumbnails import Thumbnails

MOST_AT_ONCE = 200
MOST_NAMED = 200
"""Most names and sentences of one kind in an answer."""
ENDING = "-prepared"
OUT_OF_MEMORY = "There is not enough memory for these pictures; make them smaller first."


@dataclasses.dataclass
class Started:
    """A preparation that was started. Its job's states: preparing, finished, cancelled or failed."""

    job: Job
    folder: str
    out: str
    written: int = 0
    skipped: int = 0
    problems: Sequence[str] = ()


class Preparation:
    """Preparations. ``recipe`` reads a recipe as a page sends it; ``faces`` returns the host's face finder, or None."""

    def __init__(
        self,
        folders: Folders,
        scans: Scans,
        thumbnails: Thumbnails,
        recipe: Callable[[Any], Recipe],
        faces: Callable[[], Faces | None],
    ) -> None:
        self._folders, self._scans, self._thumbnails = folders, scans, thumbnails
        self._recipe, self._faces = recipe, faces
        self._finder = CropFinder()
        self._started: Started | None = None
        self._lock = threading.Lock()

    def plan(self, folder: str, out: str, options: Any, recipe: Any, start: int, count: int) -> dict[str, Any]:
        """Return what would be done: figures, and ``count`` of the originals from ``start`` on in full."""
        made = self._plan(folder, out, options, recipe)
        problem = ""
        try:
            made = note_stale(made, execute.check(made))
        except PreparationError as error:
            problem = str(error)
        groups = [list(actions) for _, actions in groupby(made.actions, key=lambda action: action.source)]
        some = groups[start : start + min(count, MOST_AT_ONCE)]
        return {
            "folder": str(made.folder),
            "out": str(made.out),
            "pictures": len(groups),
            "files": len(made.actions),
            "undersized": list(made.undersized)[:MOST_NAMED],
            "notes": list(made.notes),
            "problem": problem,
            "items": [self._item(made, actions) for actions in some],
        }

    def move(self, folder: str, name: str, crop: dict[str, float] | None) -> None:
        """Store the crop that a user chose for a picture; None removes it."""
        root = self._root(folder)
        picture = self._picture(root, name)
        try:
            moved = None if crop is None else crops.Crop(crop["x"], crop["y"], crop["zoom"])
            with self._lock:
                crops.store(root, name, (picture.width, picture.height), moved)
        except (HiddenFolderError, OSError) as error:
            raise DeskError(f"The crop was not saved: {error}") from error

    def start(self, folder: str, out: str, options: Any, recipe: Any) -> dict[str, Any]:
        """Start a preparation; return its ``status``. Raises NotNow while another one is running."""
        made = self._plan(folder, out, options, recipe)
        execute.check(made)
        job = Job("preparing", total=len(made.actions), out_of_memory=OUT_OF_MEMORY)
        started = Started(job, str(made.folder), str(made.out))
        with self._lock:
            if self._started is not None and not self._started.job.over:
                raise NotNow(
                    f"The pictures of {self._started.folder} are being prepared; wait until that ends, or cancel it."
                )
            self._started = started
        job.start("sdft-preparation", lambda: self._carry_out(made, started))
        return self.status()

    def status(self) -> dict[str, Any]:
        """Return the progress of the last preparation; ``idle`` where there was none."""
        started = self._started or Started(Job("idle"), "", "")
        state, done, total, message = started.job.snapshot()
        return {
            "state": state,
            "done": done,
            "total": total,
            "message": message,
            "folder": started.folder,
            "out": started.out,
            "written": started.written,
            "skipped": started.skipped,
            "problems": list(started.problems[:MOST_NAMED]),
        }

    def cancel(self) -> None:
        """Cancel after the current pictures: every file is complete, and the same preparation can continue later."""
        if self._started is not None:
            self._started.job.cancel()

    def mask(self, folder: str, name: str, from_alpha: bool) -> dict[str, Any]:
        """Return a picture's mask (or its alpha as one) for painting, and what ``save_mask`` needs."""
        picture = self._picture(self._root(folder), name)
        width, height = masks.painted_size(picture)
        return {
            "name": name,
            "picture": self._url(picture),
            "mask": masks.read(picture, from_alpha),
            "version": masks.version(picture),
            "width": width,
            "height": height,
            "alpha": picture.has_alpha,
        }

    def save_mask(self, folder: str, name: str, data: str | None, before: str) -> str:
        """Store a painted mask, or delete it (None); return its version. Raises NotNow where it changed meanwhile."""
        root = self._root(folder)
        picture = self._picture(root, name)
        try:
            if data is None:
                masks.remove(root, picture, before)
                return ""
            return masks.write(root, picture, data, before)
        except masks.MaskChanged as error:
            raise NotNow(str(error)) from error

    def close(self) -> None:
        self.cancel()

    def _carry_out(self, made: Plan, started: Started) -> None:
        job = started.job

        def progress(done: int, total: int) -> None:
            job.done, job.total = done, total

        self._finder.faces = self._faces()
        done = execute.execute(made, self._finder, progress, lambda: job.cancelling)
        started.written, started.skipped, started.problems = done.written, done.skipped, done.problems
        if self._folders.may_add() and not self._folders.holds(made.out):
            self._folders.remember(made.out)
        if done.cancelled:
            raise Cancelled

    def _plan(self, folder: str, out: str, options: Any, recipe: Any) -> Plan:
        root = self._root(folder)
        dataset = self._recipe(recipe).dataset
        chosen = from_plain(options)
        place = self._folders.place(out.strip()) if out.strip() else self._folders.place(str(_suggested(root)))
        return plan(self._scan(root, dataset), root, place, chosen, dataset, crops.read(root), record.written(place))

    def _root(self, folder: str) -> Path:
        root = self._folders.folder(folder)
        self._folders.check_links(root)
        return root

    def _scan(self, root: Path, dataset: DatasetRecipe | None = None) -> Scan:
        try:
            return self._scans.get(
                dataclasses.replace(dataset or DatasetRecipe(), concepts=[Concept(instance=str(root))])
            )
        except DatasetError as error:
            raise DeskError(str(error)) from error

    def _picture(self, root: Path, name: str) -> Picture:
        for picture in self._scan(root).pictures:
            if crops.name_below(picture.path, root) == name:
                return picture
        raise NotFound(f"{name[:200]} is not among the pictures of {root}; reload the folder.")

    def _url(self, picture: Picture) -> str:
        return self._thumbnails.url(picture.path, picture.size, picture.mtime_ns)

    def _item(self, made: Plan, actions: Sequence[Action]) -> dict[str, Any]:
        """Describe one original: the parts that are cut out of it, and what happens to each."""
        first = actions[0]
        picture = first.picture
        problem = ""
        cuts = []
        for action in actions:
            if action.flip and not made.in_place:
                continue
            geometry = action.geometry
            if geometry is not None and action.by_content:
                try:
                    self._finder.faces = self._faces()
                    geometry = self._finder.place(picture, geometry, made.options.focus)
                except PictureError as error:
                    problem = str(error)
            cuts.append({**_box(geometry), "after": list(action.after), "target": action.target})
        return {
            "name": first.source,
            "picture": self._url(picture),
            "width": picture.width,
            "height": picture.height,
            "alpha": picture.has_alpha,
            "mask": picture.mask_path is not None,
            "movable": first.geometry is not None and first.tile == 0,
            "by_hand": first.by_hand,
            "enlarged": max(first.enlarged, 1.0),
            "mirrored": any(action.flip for action in actions),
            "cuts": cuts,
            "problem": problem,
        }


def _box(geometry: Geometry | None) -> dict[str, float]:
    """Return the part that is cut out, as shares of the picture's sides."""
    if geometry is None:
        return {"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0}
    wide, high = geometry.resized
    return {
        "x": geometry.x / wide,
        "y": geometry.y / high,
        "width": geometry.bucket.width / wide,
        "height": geometry.bucket.height / high,
    }


def _suggested(root: Path) -> Path:
    """Suggest a folder beside the originals': the one of an earlier preparation of them, or a new one."""
    for name in numbered(f"{root.name}{ENDING}"):
        place = root.with_name(name)
        try:
            free = not place.exists() or not any(place.iterdir())
        except OSError:
            free = False
        if free or record.Record(place, root).former_source == str(root):
            return place
    raise AssertionError("there is always a next name")
