"""All rooms of the desk, wired: one object for as long as the program runs, however often a page is loaded."""

from __future__ import annotations

import dataclasses
import importlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..dataset.pictures import EXTENSIONS
from ..dataset.trash import Removal, Trash, TrashError
from ..formats.quick_look import glance
from ..recipe import FULL, Concept, DatasetRecipe, Recipe, RecipeError, presets
from ..recipe import file as recipe_file
from ..recipe.rules import fields, problems
from ..storage.hidden_folder import HiddenFolderError
from . import calculator, example, guide, schema
from .captions import CaptionSets
from .errors import DeskError, NotNow
from .folders import Folders
from .jobs import DRAWN, Jobs
from .library import AT_WORK, DATASETS, DESK, MADE, NO_RUNS, TAGGERS, Library
from .model_files import ModelFiles
from .pictures import Thumbnails
from .preparation import Preparation
from .regularization import Regularization
from .reports import Reports
from .scans import Scans, count_pictures
from .speed import measured
from .tagging import Tagging
from .tools import Tools
from .uploads import Uploads

if TYPE_CHECKING:
    from PIL import Image

    from ..control import RunControl
    from ..host.base import Described, Host
    from ..preparation.focus import Faces

DECIDED_HERE = ("save.output", "model.base", "model.vae")
"""Settings that a page has no control for: runs lie in the desk's folder, and train on the host's model."""
MOST_REMOVED = 200
"""Removals told, and files of each."""
TRY_SECONDS = 60.0
"""How long a request waits for a running training's next step."""


class Desk:
    """Between a page and the runs.

    ``host`` makes the host of one run from its recipe, and with None one to ask what is loaded; making one costs nothing.
    ``folder`` holds the run folders. ``roots`` are folders that may be used beside those that the host allows.
    ``missing``: packages that have to be installed before anything can train, with the command that does it.
    """

    def __init__(
        self,
        host: Callable[[Recipe | None], Host],
        folder: Path,
        *,
        roots: Sequence[Path] = (),
        missing: tuple[Sequence[str], str] | None = None,
    ) -> None:
        self.host, self.folder, self.roots, self.missing = host, Path(folder).absolute(), tuple(roots), missing
        self.jobs = Jobs(self.folder, self.folder / DESK / "queue.json", self._train)
        self.library = Library(self.folder, self.jobs.owns)
        self.folders = Folders(self.folder / DESK / "folders.json", self._allowed, self._may_add)
        self.thumbnails = Thumbnails(self.folders.may_show)
        self.scans = Scans()
        self.reports = Reports(self.scans, self.thumbnails, self._looks, self._imported)
        self.uploads = Uploads(self.folders, self.folder / DATASETS)
        self.captions = CaptionSets(self.folders, self.thumbnails, self.scans, self._looks, self._imported)
        self.preparation = Preparation(self.folders, self.scans, self.thumbnails, self.recipe, self._faces)
        self.tagging = Tagging(self.captions, lambda: self.host(None), self.folder / TAGGERS)
        self.regularization = Regularization(
            self.jobs, self.folders, self.thumbnails, lambda: self.host(None), self._lacking, self._imported
        )
        files = ModelFiles(self.library, self.folders, lambda: self.host(None), self.folder / MADE)
        self.tools = Tools(
            self.folder / DESK / "tool.json", files, lambda: self.host(None), self._lacking, self._imported
        )
        self._ready: threading.Thread | None = None
        self._once = threading.Lock()

    def prepare(self) -> None:
        """Import what training needs, in the background: the first click on Train then starts at once."""
        with self._once:
            if self._ready is None and self.missing is None:
                self._ready = threading.Thread(target=_import_heavy, name="sdft-imports", daemon=True)
                self._ready.start()

    def _imported(self) -> None:
        """Wait for ``prepare``: diffusers can't be imported by two threads at once."""
        self.prepare()
        if self._ready is not None:
            self._ready.join()

    def close(self) -> None:
        """Stop the run that trains, with its save, and end the thread."""
        self.reports.close()
        self.uploads.close()
        self.tagging.close()
        self.captions.close()
        self.preparation.close()
        self.tools.close()
        self.jobs.close()

    # What there is to work with.

    def session(self) -> dict[str, Any]:
        """What a page needs to know at its start, but for its token."""
        self.prepare()
        host = self.host(None)
        model = dataclasses.asdict(host.describe())
        model["held"] = model.pop("dtype")
        warnings = [] if host.is_local() else [SHARED]
        return {
            "version": __version__,
            "host": {
                "name": host.name,
                "model": model,
                "memory": dataclasses.asdict(host.memory()),
                "features": list(host.features),
            },
            "missing": None
            if self.missing is None
            else {"packages": list(self.missing[0]), "command": self.missing[1]},
            "warnings": warnings,
        }

    def schema(self) -> dict[str, Any]:
        """Every setting, the starting points for the loaded model, and the methods."""
        from ..host.base import default_precision

        host = self.host(None)
        model = host.describe()
        kind = glance(model.path, model.family)
        return {
            "sections": schema.sections(DECIDED_HERE),
            "defaults": dataclasses.asdict(Recipe()),
            "example": example.example(kind.family, DECIDED_HERE),
            "presets": presets.presets(kind.family, kind.resolution, default_precision(model.dtype, model.device)),
            "methods": presets.METHODS,
            "thorough": presets.thorough(kind.family),
        }

    def guide(self) -> dict[str, Any]:
        return guide.guide()

    # Recipes.

    def recipe(self, values: Any) -> Recipe:
        """A recipe as a page sends it, for this desk's folder and the loaded model. Raises RecipeError."""
        recipe = recipe_file.from_plain(values)
        recipe.save.output = str(self.folder)
        model = self.host(None).describe()
        if not recipe.model.base:
            recipe.model.base = model.path
        return recipe

    def written(self, values: Any = None, text: str = "") -> dict[str, Any]:
        """A recipe in both its forms, from nested values or from its file's text. Raises RecipeError."""
        recipe = recipe_file.loads(text) if text else self.recipe(values)
        return {"recipe": dataclasses.asdict(recipe), "yaml": recipe_file.dumps(recipe)}

    def allowed(self, recipe: Recipe) -> list[str]:
        """Sentences about folders and files of a recipe that it may not name, or that aren't there."""
        found = []
        for setting in fields(recipe):
            if not setting.is_path or not setting.value or setting.path == "save.output":
                continue
            try:
                self._check_path(setting.path, setting.value)
            except DeskError as error:
                found.append(f"{setting.path}: {error}")
        return found

    def calculate(self, values: Any) -> dict[str, Any]:
        """Figures, warnings, memory, and what keeps the recipe from starting."""
        from ..memory.forecast import forecast

        try:
            recipe = self.recipe(values)
        except RecipeError as error:
            return {**calculator.EMPTY, "problems": [str(error)], "memory": None}
        wrong = list(problems(recipe))
        wrong_paths = self.allowed(recipe)
        if wrong or wrong_paths:
            return {**calculator.EMPTY, "problems": [*wrong, *wrong_paths, *self._blocked(recipe)], "memory": None}
        self._imported()
        figures = calculator.calculate(recipe, self.scans, measured(self.library, recipe))
        host = self.host(recipe)
        lent = host.describe()
        if lent.path != recipe.model.base:
            other = (
                f"The recipe was made for {Path(recipe.model.base).name}: it trains on the loaded model, {lent.name}."
            )
            figures["warnings"] = [other, *figures["warnings"]]
        return {
            **figures,
            "problems": [*figures["problems"], *self._blocked(recipe)],
            "memory": None
            if self.missing
            else forecast(recipe, lent, host.memory(), figures["pictures"] + figures["regularization"]),
        }

    # Runs.

    def start(self, values: Any) -> str:
        """Queue a new run; returns its id. Raises RecipeError or DeskError where it can't begin."""
        recipe = self.recipe(values)
        recipe_file.validate(recipe)
        wrong = [*self._blocked(recipe), *self.allowed(recipe)]
        self._imported()
        for sentence in wrong or calculator.calculate(recipe, self.scans, None)["problems"]:
            raise DeskError(sentence)
        for concept in recipe.dataset.concepts:
            for text in (concept.instance, concept.regularization):
                if text:
                    self.folders.folder(text, remember=True)
        folder = self._new_folder(recipe.save.name)
        recipe_file.write(folder / "recipe.yaml", recipe)
        self.jobs.add(folder.name)
        return folder.name

    def runs(self) -> dict[str, Any]:
        """Every run, the queue, what trains, and what draws. In the queue may stand pictures to be drawn, too."""
        waiting, current = self.jobs.waiting, self.jobs.current
        draws = current is not None and current.startswith(f"{DRAWN}/")
        return {
            "runs": self.library.runs(),
            "queue": waiting,
            "current": None if draws else current,
            "drawing": current if draws else None,
            "titles": self.regularization.titles([*waiting, *([current] if current else [])]),
            "held": self.jobs.held,
        }

    def resume(self, run: str) -> None:
        """Go on with a run that is paused, waits, was stopped, was killed, or has failed."""
        self.library.path(run)
        state = self.library.status(run)["state"]
        if state == "finished":
            raise NotNow(f"{run} is finished; to train it longer, start a new run that continues from its last save.")
        if not self.jobs.owns(run) and state in AT_WORK:
            raise NotNow(f"{run} is being trained by another program; stop it there.")
        self.jobs.resume(run)

    def stop(self, run: str) -> None:
        self.library.path(run)
        self.jobs.stop(run)

    def control(self, run: str) -> RunControl:
        """Of the run that trains now."""
        self.library.path(run)
        return self.jobs.control(run)

    def try_now(self, run: str) -> str:
        """Have the running training's state written as a temporary file; its name, once it is there."""
        if self.library.recipe(run).method.files in FULL:
            raise NotNow(
                f"{run} trains a whole model, which no prompt can call: press Save now, and choose that checkpoint."
            )
        control = self.control(run)
        before = self._tries(run)
        control.try_now()
        until = time.monotonic() + TRY_SECONDS
        while time.monotonic() < until:
            made = self._tries(run)
            if len(made) > len(before):
                return made[-1]
            if run != self.jobs.current:
                raise NotNow(f"{run} has ended meanwhile; use its saves.")
            time.sleep(0.05)
        raise NotNow(f"{run} hasn't come to its next step yet; try again in a moment, or resume it if it is paused.")

    def called(self, run: str, name: str) -> dict[str, Any]:
        """How a prompt calls a file of this run's: ``call``, and the trained ``word`` that it replaces, empty for none.

        ``further``: the same of the files of its other words.
        """
        from ..host.webui import infotext

        recipe = self.library.recipe(run)
        calls = [{"call": call, "word": word} for word, call in infotext.called(recipe, name).items()]
        first, *further = calls or [{"call": infotext.call(recipe, name), "word": ""}]
        return {**first, "further": further}

    def _tries(self, run: str) -> list[str]:
        """Names of the temporary files that a run has written, in their order."""
        events = self.library.logs.events(self.library.path(run))
        return [Path(str(event["file"])).stem for event in events if event.get("event") == "try"]

    def trash(self, run: str, saves: bool) -> None:
        """Move a run to the trash. Raises NotNow while it trains."""
        self.library.path(run)
        self.jobs.settle(run)
        if run == self.jobs.current or (not self.jobs.owns(run) and self.library.status(run)["state"] in AT_WORK):
            raise NotNow(f"{run} is training; stop it first.")
        self.jobs.remove(run)
        for path in self.library.trash(run, saves):
            self.host(None).publish(path)

    def handover(
        self, run: str, to: Any, saves: Sequence[int], weights: Sequence[float], prompts: Sequence[str]
    ) -> dict[str, str]:
        """What the page pastes into the host to use a run's saves there, and the ``checkpoint`` that it chooses, or empty."""
        paths = [self.library.save_path(run, step) for step in saves]
        host = self.host(None)
        if to not in host.features:
            raise NotNow(f"There is no {to} here: try the saves out on this page.")
        recipe = self.library.recipe(run)
        infotext = host.handover(to, recipe, [path.stem for path in paths], weights, prompts)
        whole = to == "txt2img" and recipe.method.files in FULL
        return {"infotext": infotext, "checkpoint": host.checkpoint_name(paths[-1]) if whole else ""}

    def tryout(self, run: str, wish: dict[str, Any], save: int | None) -> Image.Image:
        """One picture with a save of a run, or with the base model. Raises NotNow where this host draws none."""
        from ..host.base import Drawing

        self._imported()
        recipe = self.library.recipe(run)
        path = None if save is None else self.library.save_path(run, save)
        host = self.host(recipe)
        if "tryout" not in host.features:
            raise NotNow("Pictures are drawn in txt2img here: send the save there.")
        return host.draw(Drawing(save=path, method=recipe.method.name, clip_skip=recipe.model.clip_skip, **wish))

    # Datasets.

    def folder_listing(self, path: str) -> dict[str, Any]:
        return self.folders.listing(path, count_pictures)

    def dataset(self, text: str, count: int) -> dict[str, Any]:
        """A folder of pictures: how many, the first ones small, and what is wrong with them."""
        folder = self.folders.folder(text)
        self.folders.check_links(folder)
        found = self.scans.get(DatasetRecipe(concepts=[Concept(instance=str(folder))]))
        self.folders.folder(
            text, remember=True
        )  # now that it is one: half a name, while it is typed, may be a folder too
        shown = found.pictures[: max(count, 0)]
        return {
            "folder": str(folder),
            "pictures": len(found.pictures),
            "captions": sum(bool(picture.caption) for picture in found.pictures),
            "thumbnails": [
                {
                    "name": str(picture.path.relative_to(folder))
                    if folder in picture.path.parents
                    else picture.path.name,
                    "picture": f"pictures/{self.thumbnails.token(picture.path, picture.size, picture.mtime_ns)}",
                    "width": picture.width,
                    "height": picture.height,
                    "caption": picture.caption,
                }
                for picture in shown
            ],
            "problems": [problem.text for problem in found.problems],
        }

    def report(self, values: Any) -> str:
        """The id of the report of a recipe's dataset; it is made in the background. Raises RecipeError or DeskError."""
        recipe = self.recipe(values)
        folders = [text for concept in recipe.dataset.concepts for text in (concept.instance, concept.regularization)]
        for sentence in self.allowed(recipe):
            raise DeskError(sentence)
        if not any(folders):
            raise DeskError("No concept has a folder of pictures yet; choose one, or send pictures here.")
        id = self.reports.start(recipe)
        for text in folders:
            if text:
                self.folders.folder(text, remember=True)
        return id

    def removed(self, text: str) -> dict[str, Any]:
        """What lies in the trash of a dataset's folder, the newest first."""
        folder = self.folders.folder(text)
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

    def _in_trash(self, trash: Trash, removal: Removal, name: str) -> dict[str, Any]:
        try:
            path = trash.file(removal, name)
            stat = path.stat()
        except (OSError, TrashError, HiddenFolderError):  # gone, or a link leads elsewhere
            return {"name": name, "picture": None}
        is_picture = path.suffix.lower() in EXTENSIONS
        token = self.thumbnails.token(path, stat.st_size, stat.st_mtime_ns) if is_picture else ""
        return {"name": name, "picture": f"pictures/{token}" if token else None}

    def restore(self, text: str, removal: str) -> int:
        """Put back what was removed; how many files. Raises TrashError where a place is taken."""
        back = Trash(self.folders.folder(text)).restore(removal)
        self.reports.restored(back)
        return len(back)

    def _check_path(self, setting: str, text: str) -> None:
        if setting.startswith("dataset.concepts."):
            folder = self.folders.folder(text)
            self.folders.check_links(folder)
        elif setting == "dataset.cache_folder":
            self.folders.place(text)
        elif not (setting.startswith("model.") and text in self._models()):
            self.folders.file_of(text)

    def _looks(self, recipe: Recipe) -> Path:
        from ..dataset.cache import cache_folder

        return cache_folder(recipe.dataset, self.folder) / "looks"

    def _models(self) -> list[str]:
        """Files of the loaded model: they are in use, wherever they lie."""
        return [self.host(None).describe().path]

    def _blocked(self, recipe: Recipe) -> list[str]:
        """What keeps any run from starting now."""
        if self.missing is not None:
            return [self._lacking()]
        model: Described = self.host(recipe).describe()
        return [] if model.trainable else [model.why or "The loaded model can't be trained; load another one."]

    def _lacking(self) -> str:
        """A sentence where packages are missing."""
        if self.missing is None:
            return ""
        return f"Packages are missing ({', '.join(self.missing[0])}); install them with: {self.missing[1]}"

    def _new_folder(self, name: str) -> Path:
        """An empty folder for a run of this name; the desk's own folders keep theirs."""
        number = 1
        while True:
            path = self.folder / (name if number == 1 else f"{name}-{number}")
            number += 1
            if path.name.lower() in NO_RUNS or path.name.startswith("."):
                continue
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise DeskError(
                    f"The run's folder {path} can't be made ({error.strerror}); free space or choose another name."
                ) from error
            return path

    def _train(self, folder: Path, control: RunControl) -> object:
        if folder.parent == self.regularization.folder:
            return self.regularization.make(folder, control)
        self._imported()
        from .. import run

        recipe = recipe_file.read(folder / "recipe.yaml")
        return run.resume(folder, control=control, host=self.host(recipe), quiet=True)

    def _allowed(self) -> list[Path]:
        return [*self.roots, *self.host(None).allowed_folders(), self.folder, example.FILE.parent]

    def _faces(self) -> Faces | None:
        host = self.host(None)
        return host.faces if "faces" in host.features else None

    def _may_add(self) -> bool:
        return self.host(None).may_add_folders()


HEAVY = {
    "diffusers": ("UNet2DConditionModel", "AutoencoderKL", "DDIMScheduler"),
    "transformers": ("CLIPTextModel", "CLIPTextModelWithProjection", "CLIPTokenizer"),
    "peft.tuners.lora": ("Linear", "Conv2d"),
    "torch.optim": ("AdamW",),
}

SHARED = "This WebUI can be reached by others: folders outside the allowed ones are refused, and whoever may use it may train."


def _import_heavy() -> None:
    """What a run imports until its first step."""
    try:
        importlib.import_module("..run.run", __package__)
        for name, parts in HEAVY.items():
            module = importlib.import_module(name)
            for part in parts:
                getattr(module, part)  # these packages import their parts when they are named
    except (ImportError, AttributeError):
        return  # whoever starts a run is told what is missing
