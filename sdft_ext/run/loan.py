"""What a run learns from its host when it begins, and keeps for a resume: the model's files, their hashes, and the name
of its saves.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from ..errors import ModelError
from ..formats.metadata import config_hash, weights_hash
from ..host.base import Files, Host
from ..method import METHODS
from ..recipe import Recipe
from ..recipe import file as recipe_file
from ..run_folder.facts import add_facts, read_facts
from ..run_folder.save_names import free_save_name
from ..run_folder.saves import Saves
from ..storage.stamp import stamp

REPLACED = "replaced"
"""Stands for the hash of a file that was replaced before it was hashed."""


def lent_files(folder: Path) -> Files | None:
    """Read the files of the model that the run in ``folder`` began with; None where it has not begun."""
    found = read_facts(folder).get("lent")
    return None if found is None else Files(**found)


def record_files(folder: Path, recipe: Recipe, host: Host) -> Recipe:
    """Remember the lent model's files. Where the host lends another model than the recipe names, the recipe is changed
    to it.
    """
    if lent_files(folder) is not None:
        return recipe
    files = host.files()
    if not files.same(Files(recipe.model.base, recipe.model.vae)):
        recipe = replace(recipe, model=replace(recipe.model, base=files.base, vae=files.vae))
        recipe_file.write(folder / "recipe.yaml", recipe)
    add_facts(folder, lent=asdict(files))
    return recipe


def record_dates(folder: Path, base: Path | None, vae: str) -> None:
    """Remember size and date of the files that were just loaded, until their weights are hashed (``record_hashes``)."""
    if "model_hashes" not in read_facts(folder):
        add_facts(folder, model_dates=_dates(base, vae))


def record_hashes(folder: Path, base: Path | None, vae: str) -> list[str]:
    """Remember the hashes of the model's weights, once: a large file takes seconds to read.

    Returns a sentence for each file that isn't the loaded one any more: its hash would be another model's.
    """
    facts = read_facts(folder)
    if "model_hashes" in facts:
        return []
    hashes, now = _hashes(base, vae), _dates(base, vae)
    loaded = facts.get("model_dates", now)
    replaced = [part for part, date in now.items() if loaded.get(part, date) != date]
    for part in replaced:
        hashes |= {part: REPLACED, f"{part}_config": REPLACED}
    add_facts(folder, model_hashes=hashes)
    return [
        f"{base if part == 'base' else vae} was replaced after it was loaded: the run goes on with what it loaded. Put "
        "the first file back before you resume it."
        for part in replaced
    ]


def check_hashes(folder: Path, base: Path | None, vae: str) -> None:
    """Check that the model's files still hold what the run began with: weights, and how they are used. Raises
    ModelError.
    """
    facts = read_facts(folder)
    recorded = facts.get("model_hashes")
    if recorded is None:
        return
    dates = _dates(base, vae)
    for part, found in _hashes(base, vae).items():
        kind, _, config = part.partition("_")
        first = recorded.get(part)
        path, what = (base, "base model") if kind == "base" else (vae, "VAE")
        if not found or not first or found == first:
            continue
        if first == REPLACED:
            if dates[kind] == facts.get("model_dates", {}).get(kind):
                continue  # it was put back
            raise ModelError(
                f"{path} was replaced while this run trained, and isn't the {what} that it began with. Put the first "
                "file back, with its date, and resume, or start a new run on this one."
            )
        if config:
            raise ModelError(
                f"The configuration of {path} has changed since this run began (the .yaml next to it, or the .json "
                "files in it). Put the first one back and resume, or start a new run on this one."
            )
        raise ModelError(
            f"{path} has changed since this run began: the {what} in it is another one (sha256 {found[:10]}, not "
            f"{first[:10]}). Put the first file back and resume, or start a new run on this one."
        )


def _hashes(base: Path | None, vae: str) -> dict[str, str]:
    found = {}
    for part, path in (("base", base), ("vae", Path(vae).expanduser() if vae else None)):
        found[part] = weights_hash(path) if path is not None else ""
        found[f"{part}_config"] = config_hash(path) if path is not None else ""
    return found


def _dates(base: Path | None, vae: str) -> dict[str, list[list[int]]]:
    """Return size and date (nanoseconds) of each file that makes up the model."""
    found = {}
    for part, path in (("base", base), ("vae", Path(vae).expanduser() if vae else None)):
        files = [] if path is None else sorted(path.rglob("*")) if path.is_dir() else [path, path.with_suffix(".yaml")]
        found[part] = [list(stamp(file)[:2]) for file in files if file.is_file()]
    return found


def exports(folder: Path, recipe: Recipe, host: Host) -> Saves:
    """Make the run's saves: in the host's folder under a name that no other file has, the same after a resume."""
    method = METHODS[recipe.method.name]
    place, kind = host.saves_folder(recipe.method.files), getattr(method, "extra_kind", None)
    extra_folder = None if kind is None else host.saves_folder(kind)
    saves = Saves(folder, recipe.save.name, recipe.save.keep_last, place, method.suffix, extra_folder)
    stem = read_facts(folder).get("stem")
    if stem is None and place is not None and not saves.all():
        stem = free_save_name(recipe.save.name, place, [*stems(folder.parent), *_prefixes(extra_folder)])
        add_facts(folder, stem=stem)
    if stem is not None:
        saves.name = stem
    return saves


def stems(runs: Path) -> list[str]:
    """List what the names of the runs' saves begin with in the host's folders, also of runs that have no save yet."""
    found = [read_facts(facts.parent).get("stem") for facts in runs.glob("*/facts.json")]
    return [stem for stem in found if stem is not None]


def _prefixes(folder: Path | None) -> list[str]:
    """List what the names of a folder's files begin with, up to each "-": a run's extra files are called NAME-WORD
    there.
    """
    stems = (
        [path.stem for path in folder.rglob("*") if path.is_file()] if folder is not None and folder.is_dir() else []
    )
    return [stem[:place] for stem in stems for place, letter in enumerate(stem) if letter == "-"]
