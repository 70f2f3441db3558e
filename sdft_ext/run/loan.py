"""What a run takes from its host when it begins, and finds again when it is resumed."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from ..host.base import Files, Host
from ..method import METHODS
from ..recipe import Recipe
from ..recipe import file as recipe_file
from ..run_folder.facts import add_facts, read_facts
from ..run_folder.save_names import free_save_name
from ..run_folder.saves import Saves


def lent_files(folder: Path) -> Files | None:
    """The files of the model that the run in ``folder`` began with, or None where it has none yet."""
    found = read_facts(folder).get("lent")
    return None if found is None else Files(**found)


def record_files(folder: Path, recipe: Recipe, host: Host) -> Recipe:
    """Write down what was lent. A host may lend another model than the recipe names: then the run's recipe names it."""
    if lent_files(folder) is not None:
        return recipe
    files = host.files()
    if not files.same(Files(recipe.model.base, recipe.model.vae)):
        recipe = replace(recipe, model=replace(recipe.model, base=files.base, vae=files.vae))
        recipe_file.write(folder / "recipe.yaml", recipe)
    add_facts(folder, lent=asdict(files))
    return recipe


def exports(folder: Path, recipe: Recipe, host: Host) -> Saves:
    """The run's saves; in the host's folder under a name that nobody else's files have, the same after a resume."""
    method = METHODS[recipe.method.name]
    place, kind = host.saves_folder(recipe.method.files), getattr(method, "further_kind", None)
    beside = None if kind is None else host.saves_folder(kind)
    found = Saves(folder, recipe.save.name, recipe.save.keep_last, place, method.suffix, beside)
    stem = read_facts(folder).get("stem")
    if stem is None and place is not None and not found.all():
        stem = free_save_name(recipe.save.name, place, [*stems(folder.parent), *beginnings(beside)])
        add_facts(folder, stem=stem)
    if stem is not None:
        found.name = stem
    return found


def stems(runs: Path) -> list[str]:
    """What the names of the runs' saves begin with in the host's folders, those included that have no save yet."""
    found = [read_facts(facts.parent).get("stem") for facts in runs.glob("*/facts.json")]
    return [stem for stem in found if stem is not None]


def beginnings(folder: Path | None) -> list[str]:
    """What the names of a folder's files begin with, up to each "-": a run's further files are called NAME-WORD there."""
    stems = (
        [path.stem for path in folder.rglob("*") if path.is_file()] if folder is not None and folder.is_dir() else []
    )
    return [stem[:place] for stem in stems for place, letter in enumerate(stem) if letter == "-"]
