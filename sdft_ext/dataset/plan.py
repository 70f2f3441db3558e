"""Plan which pictures each step sees: a pure function of (scan, recipe, step), without state between calls.

Every batch is full and contains one bucket. Within a bucket, the showings of all epochs are concatenated and split into
batches, so a picture left over at the end of an epoch begins the bucket's next batch: each picture is shown equally
often in the long run, none is dropped, and no small batch weighs more than it should. (Smaller last batches, as in
other trainers, give a single odd-shaped picture the weight of a whole batch in every epoch.) Where a bucket's count is
a multiple of the batch size, an epoch shows each picture exactly ``repeats`` times.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ..randomness import numpy_generator
from ..recipe import DatasetRecipe, TrainRecipe
from . import captions
from .buckets import Bucket, Geometry
from .crops import fitted
from .folder import DatasetError, Picture, Scan

T = TypeVar("T")

MAX_SHOWINGS = 20_000_000
"""Most showings of an epoch, repeats included; more are taken for a mistake."""


@dataclass(frozen=True)
class Sample:
    """One showing of a picture: its crop, whether it is mirrored, and its caption."""

    picture: int
    geometry: Geometry
    flip: bool
    caption: str

    @property
    def bucket(self) -> Bucket:
        """Return the bucket of the crop."""
        return self.geometry.bucket


@dataclass(frozen=True)
class Ring:
    """One concept's regularization pictures of one bucket, shown in turn; ``share``: showings per epoch, a fraction.

    ``phase`` in [0, 1) staggers rings with a small share, so that they don't all show a picture in the same epoch.
    """

    pictures: tuple[int, ...]
    share: Fraction
    phase: Fraction

    def before(self, epoch: int) -> int:
        """Return the number of showings before ``epoch``."""
        return int(epoch * self.share + self.phase)


@dataclass(frozen=True)
class Queue:
    """What one bucket shows: each instance picture ``repeats`` times, and some of the regularization pictures."""

    bucket: Bucket
    instances: tuple[int, ...]
    rings: tuple[Ring, ...]

    def before(self, epoch: int) -> int:
        """Return the number of showings before ``epoch``."""
        return epoch * len(self.instances) + sum(ring.before(epoch) for ring in self.rings)

    @property
    def showings(self) -> Fraction:
        """Return the mean number of showings per epoch."""
        return len(self.instances) + sum((ring.share for ring in self.rings), Fraction(0))


class Plan:
    """The samples of every step of a run.

    ``held_out``: indices of the pictures kept for validation. All draws are keyed by ``train.seed``.
    Raises DatasetError where no picture is left to train on.
    """

    def __init__(self, scan: Scan, dataset: DatasetRecipe, train: TrainRecipe, held_out: Collection[int] = ()) -> None:
        self.scan, self.dataset, self.train = scan, dataset, train
        self.held_out = frozenset(held_out)
        self.geometries = [fitted((p.width, p.height), p.crop, dataset) for p in scan.pictures]
        # Pictures with no weight would only take the others' places.
        regularized = train.prior_loss_weight > 0
        self.queues = _queues(scan, self.geometries, self.held_out, regularized)
        self.showings_per_epoch = int(sum(queue.showings for queue in self.queues))
        if not any(queue.instances for queue in self.queues):
            raise DatasetError("No picture is left to train on; lower watch.validation_share or add pictures.")
        self._memo: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    @property
    def steps_per_epoch(self) -> int:
        """Return the number of optimizer steps that cover an epoch's showings."""
        return -(-self.showings_per_epoch // (self.train.batch_size * self.train.accumulation))

    @property
    def total_steps(self) -> int:
        """Return ``train.length`` in steps; pictures and each epoch are rounded up to full steps."""
        length = self.train.length
        if self.train.length_unit == "epochs":
            return length * self.steps_per_epoch
        if self.train.length_unit == "pictures":
            return -(-length // (self.train.batch_size * self.train.accumulation))
        return length

    def samples(self, step: int, micro: int = 0) -> list[Sample]:
        """Return the ``batch_size`` samples of micro-batch ``micro`` of step ``step`` (both from 0)."""
        number = step * self.train.accumulation + micro
        queue, first = self._batch(number)
        return [self._showing(self._item(queue, first + row), number, row) for row in range(self.train.batch_size)]

    def fixed_sample(self, picture: int) -> Sample:
        """Return a picture's sample without any draw: cropped in the middle or as by hand, not mirrored, with its full
        caption.
        """
        return Sample(picture, self.geometries[picture], self.dataset.flip == 1.0, self._caption(picture, None))

    def phrase(self, picture: int) -> str:
        """Return the phrase that calls a picture's concept, which may stand for its caption."""
        return captions.concept_phrase(self.scan.concepts[self.scan.pictures[picture].concept])

    def all_captions(self) -> list[str]:
        """Return every caption that a run may show, sorted, without those that are chosen anew each time; none where
        shuffled or dropped tags make them endless.
        """
        if captions.varies(self.dataset):
            return []
        found = {self._caption(i, None) for i, picture in enumerate(self.scan.pictures) if not self._chooses(picture)}
        dropout = max(self.dataset.caption_dropout, self.dataset.regularization_caption_dropout)
        return sorted(found | {""} if dropout > 0 else found)

    def _caption(self, picture: int, rng: np.random.Generator | None, choice: np.random.Generator | None = None) -> str:
        """Return a picture's caption; ``choice`` chooses its line and its wildcards."""
        facts = self.scan.pictures[picture]
        text = captions.line(facts.caption, facts.lines, choice)
        concept = self.scan.concepts[facts.concept]
        return captions.caption(concept, text, facts.regularization, self.dataset, rng, choice)

    def _chooses(self, picture: Picture) -> bool:
        concept = self.scan.concepts[picture.concept]
        return captions.offers_choice(concept, picture.caption, picture.lines, self.dataset)

    def _showing(self, picture: int, number: int, row: int) -> Sample:
        rng = numpy_generator(self.train.seed, "showing", number, row)
        flip, u, v = rng.random(3)  # always drawn, so that one setting doesn't change another's draws
        geometry = self.geometries[picture]
        if self.dataset.crop == "random" and self.scan.pictures[picture].crop is None:
            geometry = geometry.moved(float(u), float(v))
        chooses = self._chooses(self.scan.pictures[picture])
        choice = numpy_generator(self.train.seed, "caption", number, row) if chooses else None
        return Sample(picture, geometry, bool(flip < self.dataset.flip), self._caption(picture, rng, choice))

    def _batches_before(self, epoch: int, queue: int) -> int:
        """Return a queue's number of batches before ``epoch``. A batch belongs to the epoch of its first showing."""
        return -(-self.queues[queue].before(epoch) // self.train.batch_size)

    def _before(self, epoch: int) -> int:
        return sum(self._batches_before(epoch, queue) for queue in range(len(self.queues)))

    def _batch(self, number: int) -> tuple[int, int]:
        """Return queue and first showing (counted through all epochs) of batch ``number`` of the run."""
        size, showings = self.train.batch_size, self.showings_per_epoch
        # Rounding moves _before(e) away from e·showings/size by at most one for each queue and ring.
        parts = sum(1 + len(queue.rings) for queue in self.queues)
        low = max((number - parts) * size // showings - 1, 0)
        high = (number + parts) * size // showings + 2
        epoch = low + bisect_right(range(low, high), number, key=self._before) - 1
        order: list[tuple[int, int]] = self._memoized((epoch,), lambda: self._epoch_order(epoch))
        queue, batch = order[number - self._before(epoch)]
        return queue, batch * size

    def _epoch_order(self, epoch: int) -> list[tuple[int, int]]:
        """Return an epoch's batches as (queue, number of the queue's batch), queues shuffled, each in its own order."""
        ranges = [
            range(self._batches_before(epoch, queue), self._batches_before(epoch + 1, queue))
            for queue in range(len(self.queues))
        ]
        queues = [queue for queue, batches in enumerate(ranges) for _ in batches]
        left = [iter(batches) for batches in ranges]
        order = numpy_generator(self.train.seed, "order", epoch).permutation(len(queues))
        return [(queues[int(i)], next(left[queues[int(i)]])) for i in order]

    def _item(self, queue: int, place: int) -> int:
        """Return the picture at ``place`` of a queue, counted through all epochs."""
        mean, before = self.queues[queue].showings, self.queues[queue].before
        parts = 1 + len(self.queues[queue].rings)
        low, high = max(int((place - parts) / mean) - 1, 0), int((place + parts) / mean) + 2
        epoch = low + bisect_right(range(low, high), place, key=before) - 1
        pictures: list[int] = self._memoized((queue, epoch), lambda: self._epoch_list(queue, epoch))
        return pictures[place - before(epoch)]

    def _epoch_list(self, queue: int, epoch: int) -> list[int]:
        """Return a queue's pictures in one epoch: instance and regularization pictures, each shuffled, evenly mixed.

        Regularization pictures rotate: the next epoch continues where this one stopped, reshuffled after each round.
        """
        seed, bucket = self.train.seed, self.queues[queue].bucket
        own = self.queues[queue].instances
        rng = numpy_generator(seed, "instances", bucket.width, bucket.height, epoch)
        lists = [[own[int(i)] for i in rng.permutation(len(own))]]
        for number, ring in enumerate(self.queues[queue].rings):
            chosen = []
            for place in range(ring.before(epoch), ring.before(epoch + 1)):
                round_, within = divmod(place, len(ring.pictures))
                key = (queue, number, round_)
                order = self._memoized(key, partial(_order, seed, bucket, number, round_, len(ring.pictures)))
                chosen.append(ring.pictures[order[within]])
            lists.append(chosen)
        return _mixed(lists)

    def _memoized(self, key: tuple[int, ...], make: Callable[[], T]) -> T:
        """Return the result of a pure function, cached for speed only."""
        if key not in self._memo:
            self._memo[key] = make()
            while len(self._memo) > 4 * len(self.queues) + 16:
                self._memo.popitem(last=False)
        result: T = self._memo[key]
        return result


def hold_out(scan: Scan, share: float, seed: int) -> list[int]:
    """Choose the instance pictures for validation: ``share`` of each concept's, at least one, never all. Sorted."""
    chosen: list[int] = []
    for concept in range(len(scan.concepts)):
        own = [i for i in scan.instances if scan.pictures[i].concept == concept]
        count = min(max(round(share * len(own)), 1), len(own) - 1) if share > 0 else 0
        order = numpy_generator(seed, "held out", concept).permutation(len(own))
        chosen += [own[int(n)] for n in order[:count]]
    return sorted(chosen)


def _order(seed: int, bucket: Bucket, ring: int, round_: int, count: int) -> list[int]:
    rng = numpy_generator(seed, "regularization", bucket.width, bucket.height, ring, round_)
    return [int(i) for i in rng.permutation(count)]


def _queues(scan: Scan, geometries: Sequence[Geometry], held_out: frozenset[int], regularized: bool) -> list[Queue]:
    """Make one queue for each bucket that has pictures, in the buckets' order.

    In an epoch, a concept has as many regularization showings as instance showings, but no picture more than its
    repeats (kohya's rule, which raises the repeats instead where there are fewer). Buckets share them in proportion.
    Raises DatasetError where repeats make an epoch too long.
    """
    instances: dict[Bucket, list[int]] = {}
    rings: dict[Bucket, list[Ring]] = {}
    counted = [picture for i, picture in enumerate(scan.pictures) if i not in held_out]
    if sum(picture.repeats for picture in counted) > MAX_SHOWINGS:
        raise DatasetError(f"An epoch would have more than {MAX_SHOWINGS:,} showings; lower the repeats.")
    for concept in range(len(scan.concepts)):
        own = _by_bucket(scan, geometries, held_out, concept, regularization=False)
        others = _by_bucket(scan, geometries, held_out, concept, regularization=True)
        for bucket, pictures in own.items():
            instances.setdefault(bucket, []).extend(pictures)
        available = sum(len(pictures) for pictures in others.values())
        wanted = min(sum(len(pictures) for pictures in own.values()), available) if regularized else 0
        for number, (bucket, pictures) in enumerate(sorted(others.items()) if wanted else ()):
            share, phase = Fraction(wanted * len(pictures), available), Fraction(number, len(others))
            rings.setdefault(bucket, []).append(Ring(tuple(pictures), share, phase))
    return [
        Queue(bucket, tuple(instances.get(bucket, ())), tuple(rings.get(bucket, ())))
        for bucket in sorted({*instances, *rings})
    ]


def _by_bucket(
    scan: Scan, geometries: Sequence[Geometry], held_out: frozenset[int], concept: int, regularization: bool
) -> dict[Bucket, list[int]]:
    """Return picture indices by bucket, each as often as it repeats."""
    found: dict[Bucket, list[int]] = {}
    for index, picture in enumerate(scan.pictures):
        if index not in held_out and (picture.concept, picture.regularization) == (concept, regularization):
            found.setdefault(geometries[index].bucket, []).extend([index] * picture.repeats)
    return found


def _mixed(lists: Sequence[Sequence[T]]) -> list[T]:
    """Interleave lists so that every stretch has each in proportion: 2 of a and 4 of b give b a b b a b."""
    placed = [((i + 0.5) / len(items), n, item) for n, items in enumerate(lists) for i, item in enumerate(items)]
    return [item for _, _, item in sorted(placed, key=lambda entry: entry[:2])]
