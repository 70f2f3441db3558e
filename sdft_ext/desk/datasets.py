"""Folders of pictures as datasets: their contents, their reports, and their trash."""

from __future__ import annotations

from typing import Any

from ..dataset.pictures import EXTENSIONS
from ..dataset.trash import Removal, Trash, TrashError
from ..storage.hidden_folder import HiddenFolderError
from .errors import DeskError
from .folders import Folders
from .recipes import Recipes
from .reports import Reports
from .scans import Scans, count_pictures
from .thumbnails import Thumbnails

MOST_REMOVED = 200
"""Most removals in an answer, and most files of each."""


class Datasets:
    """The datasets in the folders that a page may use."""

    def __init__(
        self, folders: Folders, scans: Scans, thumbnails: Thumbnails, recipes: Recipes, reports: Reports
    ) -> None:
        self._folders, self._scans, self._thumbnails = folders, scans, thumbnails
        self._recipes, self._reports = recipes, reports

    def listing(self, path: str) -> dict[str, Any]:
        """List a folder for a picker; without a path, the allowed roots. Raises DeskError."""
        return self._folders.listing(path, count_pictures)

    def open(self, text: str, count: int, linked_folder: str = "") -> dict[str, Any]:
        """Describe a folder of pictures: how many, thumbnails of the first ``count``, and problems. Links in it may
        lead into ``linked_folder``, too. Raises DeskError or DatasetError.
        """
        folder = self._folders.folder(text)
        self._folders.check_links(folder)
        found = self._scans.get(self._folders.alone(folder, linked_folder))
        # Remembered only after the scan: a half-typed name may be a folder, too.
        self._folders.folder(text, remember=True)
        return {
            "folder": str(folder),
            "pictures": len(found.pictures),
            "captions": sum(bool(picture.caption) for picture in found.pictures),
            "thumbnails": [
                {
                    "name": str(picture.path.relative_to(folder))
                    if folder in picture.path.parents
                    else picture.path.name,
                    "picture": self._thumbnails.url(picture.path, picture.size, picture.mtime_ns),
                    "width": picture.width,
                    "height": picture.height,
                    "caption": picture.caption,
                }
                for picture in found.pictures[: max(count, 0)]
            ],
            "problems": [problem.text for problem in found.problems],
        }

    def report(self, values: Any) -> str:
        """Start the report of a recipe's dataset in the background; return its id. Raises RecipeError or DeskError."""
        recipe = self._recipes.parse(values)
        folders = [text for concept in recipe.dataset.concepts for text in (concept.instance, concept.regularization)]
        for sentence in self._recipes.path_problems(recipe):
            raise DeskError(sentence)
        if not any(folders):
            raise DeskError("No concept has a folder of pictures yet; choose one, or send pictures here.")
        id = self._reports.start(recipe)
        for text in folders:
            if text:
                self._folders.folder(text, remember=True)
        return id

    def removals(self, text: str) -> dict[str, Any]:
        """List the removals in the trash of a dataset's folder, newest first."""
        folder = self._folders.folder(text)
        trash = Trash(folder)
        return {
            "folder": str(folder),
            "removals": [
                {
                    "id": removal.id,
                    "time": removal.time,
                    "files": [self._in_trash(trash, removal, name) for name in removal.files[:MOST_REMOVED]],
                    "count": len(removal.files),
                }
                for removal in trash.removals()[:MOST_REMOVED]
            ],
        }

    def restore(self, text: str, removal: str) -> int:
        """Put the files of a removal back; return how many. Raises TrashError where a place is taken."""
        restored = Trash(self._folders.folder(text)).restore(removal)
        self._reports.restored(restored)
        return len(restored)

    def _in_trash(self, trash: Trash, removal: Removal, name: str) -> dict[str, Any]:
        try:
            path = trash.file(removal, name)
            stat = path.stat()
        except (OSError, TrashError, HiddenFolderError):  # gone, or a link leads elsewhere
            return {"name": name, "picture": None}
        is_picture = path.suffix.lower() in EXTENSIONS
        return {
            "name": name,
            "picture": self._thumbnails.url(path, stat.st_size, stat.st_mtime_ns) if is_picture else None,
        }
