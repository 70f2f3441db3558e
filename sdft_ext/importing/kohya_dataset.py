"""kohya's datasets → the recipe's concepts: a dataset file, or the folders ``10_sks cat`` of a settings file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .concepts import add_concept, check_count, path_of, set_repeats, words_of
from .draft import Draft, shown
from .epochs import KohyaBuckets, balanced, kohya_batches
from .files import Files, FoundPicture, base_name, named_repeats
from .kohya_captions import set_captions
from .kohya_subsets import Dataset, Levels, Subset
from .values import Values, finite


def read_datasets(arguments: Values, config: Values | None, files: Files) -> list[Dataset]:
    """Read kohya's datasets into the recipe; ``config`` is the dataset file, if there is one."""
    draft = arguments.draft
    datasets = _of_config(arguments, config, files) if config is not None else _of_folders(arguments, files)
    datasets = [one for one in datasets if one.having(regularization=False)]
    if not datasets:
        draft.note(
            "No folder of pictures is named. Set dataset.concepts.0.instance, or import the dataset's file as well."
        )
        nothing = Subset(Levels(arguments), "", "", 1, False, "", None)
        settings = [Dataset(nothing.levels, [nothing])]
        _set_sizes(draft, settings)
        set_captions(draft, settings)
        return []
    _set_sizes(draft, datasets)
    set_captions(draft, datasets)
    draft.recipe.dataset.concepts = []
    for dataset in datasets:
        _add_concepts(draft, dataset)
    return datasets


def batches(datasets: Sequence[Dataset]) -> int | None:
    """Count the batches of an epoch in sd-scripts; None where the pictures can't be counted."""
    total = 0
    for dataset in datasets:
        own, others = dataset.counted(False), dataset.counted(True)
        if not own or others is None:
            return None
        total += kohya_batches([*own, *balanced(own, others)], dataset.buckets, dataset.batch_size)
    return total or None


def _of_config(arguments: Values, config: Values, files: Files) -> list[Dataset]:
    general = config.table("general")
    found, count = list[Dataset](), 0
    for table in config.tables("datasets"):
        levels, inners = [table, general, arguments], table.tables("subsets")
        count += len(inners)
        check_count(count)
        subsets = [_subset(Levels(inner, *levels), files) for inner in inners]
        found.append(Dataset(Levels(*levels), [one for one in subsets if one is not None]))
    for name in ("train_data_dir", "reg_data_dir", "in_json"):
        if arguments.has(name):
            arguments.leave(
                name, "the dataset file says which pictures are trained, so it has no effect there or here."
            )
    return found


def _subset(levels: Levels, files: Files) -> Subset | None:
    """Read one of a dataset's subsets; None where it has no folder, or no repeats."""
    draft = levels.tables[0].draft
    folder, metadata = levels.get("text", "image_dir"), levels.get("text", "metadata_file")
    name = levels.name("image_dir")
    if metadata:
        draft.leave(
            levels.name("metadata_file"),
            metadata,
            "captions are read from text files. Write them: python -m sdft_ext captions import FOLDER meta_cap FILE.",
        )
    if not folder:
        draft.note(f"{name} is missing: this subset was left out. Name the folder of its pictures and import again.")
        return None
    repeats = levels.get("whole", "num_repeats", 1)
    if repeats < 1:
        draft.leave(levels.name("num_repeats"), repeats, f"{shown(folder)} was left out, as kohya leaves it out.")
        return None
    found = path_of(draft, files, folder, name)
    is_reg, tokens = levels.get("flag", "is_reg", False), levels.get("text", "class_tokens")
    return Subset(levels, name, found, repeats, is_reg, tokens, _pictures(draft, files, found, name))


def _pictures(draft: Draft, files: Files, folder: str, name: str) -> list[FoundPicture] | None:
    """Return the pictures that kohya reads: those of the folder itself."""
    found = files.pictures(folder)
    if found is not None and any(one.nested for one in found):
        draft.note(
            f"{name} is {shown(folder)}: the pictures in folders inside it are trained here, but not by kohya. Move "
            "those folders elsewhere."
        )
    return None if found is None else [one for one in found if not one.nested]


def _of_folders(arguments: Values, files: Files) -> list[Dataset]:
    """Read the folders ``10_sks cat`` in train_data_dir, and those in reg_data_dir."""
    levels, subsets = Levels(arguments), list[Subset]()
    single = arguments.has("in_json")
    if single:
        arguments.leave(
            "in_json",
            "captions are read from text files. Write them: python -m sdft_ext captions import FOLDER meta_cap FILE.",
        )
    for name, is_reg in (("train_data_dir", False), ("reg_data_dir", True)):
        path = arguments.text(name)
        if not path:
            continue
        folder = path_of(arguments.draft, files, path, arguments.name(name))
        inside = None if single and not is_reg else files.folders(folder)
        if inside is None:
            repeats = levels.get("whole", "num_repeats", 1) or 1
            pictures = _pictures(arguments.draft, files, folder, arguments.name(name)) if single else None
            subsets.append(Subset(levels, arguments.name(name), folder, repeats, is_reg, "", pictures))
            continue
        subsets += [
            Subset(
                levels,
                arguments.name(name),
                inner,
                repeats,
                is_reg,
                tokens,
                _pictures(arguments.draft, files, inner, arguments.name(name)),
            )
            for inner, repeats, tokens in _named_folders(arguments, name, folder, inside)
        ]
    return [Dataset(levels, subsets)]


def _named_folders(arguments: Values, name: str, folder: str, inside: Sequence[str]) -> list[tuple[str, int, str]]:
    """Return the folders whose names begin with repeats, with these and the words that follow."""
    found = []
    for inner in inside:
        match = re.fullmatch(r"(\d{1,9})(?:_(.*))?", inner, re.DOTALL)
        if match is not None and int(match[1]):
            found.append((f"{folder}/{inner}", int(match[1]), match[2] or ""))
        else:
            arguments.draft.note(
                f"{arguments.name(name)}: the folder {shown(inner)} was left out, as its name doesn't begin with "
                "repeats (10_sks cat) and kohya leaves it out, too."
            )
    if not found:
        arguments.leave(name, "none of its folders has a name such as '10_sks cat', so kohya finds no pictures in it.")
    return found


def _set_sizes(draft: Draft, datasets: Sequence[Dataset]) -> None:
    """Set resolution, batch size and buckets: the first dataset's, as here they hold for all."""
    for dataset in datasets:
        get = dataset.levels.get
        width, height = _resolution(dataset)
        low, high, step = (
            get("whole", name, default)
            for name, default in (("min_bucket_reso", 256), ("max_bucket_reso", 1024), ("bucket_reso_steps", 64))
        )
        if step < 8:
            step = 8
            draft.leave(
                dataset.levels.name("bucket_reso_steps"), get("raw", "bucket_reso_steps"), "8 is the least here."
            )
        dataset.batch_size = max(get("whole", "batch_size", 1), 1)
        dataset.buckets = KohyaBuckets(
            get("flag", "enable_bucket", False), width, height, low, high, step, get("flag", "bucket_no_upscale", False)
        )
    first = datasets[0]
    buckets, levels = first.buckets, first.levels
    side = round((buckets.width * buckets.height) ** 0.5)
    chosen: dict[str, tuple[str, Any]] = {
        "dataset.resolution": ("resolution", side),
        "train.batch_size": ("batch_size", first.batch_size),
        "dataset.buckets": ("enable_bucket", buckets.enabled),
    }
    if buckets.enabled:
        chosen |= {
            "dataset.bucket_min": ("min_bucket_reso", buckets.low),
            "dataset.bucket_max": ("max_bucket_reso", buckets.high),
            "dataset.bucket_step": ("bucket_reso_steps", buckets.step),
            "dataset.no_upscale": ("bucket_no_upscale", buckets.no_upscale),
        }
    for path, (name, value) in chosen.items():
        draft.set(path, value, levels.name(name), levels.get("raw", name))
    if buckets.width != buckets.height:
        text = (
            "pictures get buckets of their own shapes with this area"
            if buckets.enabled
            else "pictures are squares here"
        )
        draft.leave(levels.name("resolution"), f"{buckets.width}×{buckets.height}", f"{text}: {side} is its side.")
    for number, other in enumerate(datasets[1:], start=1):
        if (other.buckets, other.batch_size) != (buckets, first.batch_size):
            draft.note(
                f"datasets.{number} has {other.buckets.width}×{other.buckets.height} pixels, batches of "
                f"{other.batch_size} and buckets of its own: a run has one size here, so its pictures are trained "
                "like those of datasets.0. Train the sizes one after the other if you need them."
            )
    for dataset in datasets:
        _keep_allowed(draft, dataset)


def _keep_allowed(draft: Draft, dataset: Dataset) -> None:
    """Count batches only with sizes that the recipe allows: a file may name buckets without number."""
    buckets = dataset.buckets
    side = round((buckets.width * buckets.height) ** 0.5)
    allowed = draft.allowed("dataset.resolution", side)
    width, height = (buckets.width, buckets.height) if allowed == side else (allowed, allowed)
    low, high, step = (
        draft.allowed(f"dataset.bucket_{name}", value)
        for name, value in (("min", buckets.low), ("max", buckets.high), ("step", buckets.step))
    )
    dataset.buckets = replace(buckets, width=width, height=height, low=low, high=high, step=step)
    dataset.batch_size = draft.allowed("train.batch_size", dataset.batch_size)


def _resolution(dataset: Dataset) -> tuple[int, int]:
    """Return a resolution's width and height: 512, [512, 768] or "512,768"."""
    given = dataset.levels.get("raw", "resolution", 512)
    parts = given if isinstance(given, list) else str(given).split(",")
    numbers = [int(finite(part) or 0) for part in parts]
    if len(numbers) in (1, 2) and min(numbers) > 0:
        return numbers[0], numbers[-1]
    dataset.levels.tables[0].draft.leave(
        dataset.levels.name("resolution"), given, "this is neither a side nor a width and a height, so 512 was used."
    )
    return 512, 512


def _add_concepts(draft: Draft, dataset: Dataset) -> None:
    """Add a concept for each instance subset. Each gets a folder of regularization pictures, if there is one."""
    own, others = dataset.having(regularization=False), dataset.having(regularization=True)
    shared = _shared_folder(draft, others) if len(others) > len(own) else ""
    for number, subset in enumerate(own):
        paired = others[number % len(others)] if others else None
        words = words_of(subset.tokens, paired.tokens if paired else "")
        path = add_concept(draft, subset.folder, words, "", subset.name)
        showings = set_repeats(
            draft, f"{path}.repeats", subset.folder, subset.repeats, subset.levels.name("num_repeats")
        )
        if paired is None:
            continue
        folder = shared or paired.folder
        draft.set(f"{path}.regularization", folder, "the regularization pictures", folder)
        if paired.tokens and not shared and paired.tokens != words.class_word:
            draft.note(
                f"Regularization pictures in {shown(folder)} without a text file have the caption "
                f"{shown(words.class_word)} here, not {shown(paired.tokens)}: set {path}.class_word if that matters."
            )
        pool = others if shared else [paired]
        _balance(draft, f"{path}.regularization_repeats", subset, showings, pool)


def _shared_folder(draft: Draft, others: Sequence[Subset]) -> str:
    """Return the folder that holds all regularization folders, where there is one and nothing else is in it."""
    parents = {re.sub(r"[/\\][^/\\]*$", "", one.folder.rstrip("/\\")) for one in others}
    if len(parents) == 1 and all(named_repeats(one.folder) == one.repeats for one in others):
        return parents.pop()
    left = ", ".join(shown(base_name(one.folder)) for one in others[1:])
    draft.note(
        f"There are more folders of regularization pictures than concepts: {left} may be left out. Put all into one "
        "folder, and name that one in dataset.concepts.0.regularization."
    )
    return ""


def _balance(draft: Draft, path: str, subset: Subset, repeats: int, pool: Sequence[Subset]) -> None:
    """Set regularization repeats that suffice for as many showings as instance pictures have, as in kohya."""
    counts = [None if one.pictures is None else len(one.pictures) * named_repeats(one.folder) for one in pool]
    if subset.pictures is not None and all(counts):
        wanted, available = repeats * len(subset.pictures), sum(count or 0 for count in counts)
        draft.set(path, max(-(-wanted // available), 1), "the balance of regularization", f"{wanted} of each kind")
        return
    draft.set(path, max(repeats, *(one.repeats for one in pool)), "the balance of regularization", "not counted")
    draft.note(
        "kohya repeats regularization pictures until there are as many as instance pictures. They couldn't be "
        f"counted: check that {path} × their number is at least as many."
    )
