"""What a run is made of before its first step."""

from __future__ import annotations

from pathlib import Path

from ..analysis.summary import Report, summarize
from ..dataset.prepare import Dataset, Lend, Progress, at_once, prepare
from ..dataset.shard import ALL, Shard
from ..model.base import Model
from ..recipe import Recipe
from ..run_folder import dataset as dataset_file


def prepare_dataset(
    recipe: Recipe,
    model: Model,
    folder: Path,
    progress: Progress | None = None,
    lend: Lend = at_once,
    shard: Shard = ALL,
) -> tuple[Dataset, Report]:
    """Prepare the run's dataset, and write its summary into the run's folder.

    Raises DatasetError where there is nothing to train on, or the run began with other pictures or captions.
    """
    dataset = prepare(recipe, model, dataset_file.read_fingerprint(folder), progress, lend, shard)
    summary = summarize(dataset.scan, dataset.plan, dataset.notes)
    dataset_file.write(folder, summary.data, dataset.scan.fingerprint)
    return dataset, summary
