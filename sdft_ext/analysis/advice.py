"""Advice that needs only file names and headers: counts against the guide, trigger, unused captions, masks, sizes,
buckets.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dataset.buckets import FACTOR
from ..dataset.folder import Picture, Scan
from ..dataset.listing import unused_text
from ..dataset.plan import Plan
from ..recipe.advice import FULL_PICTURES, FULL_PICTURES_PER_CONCEPT, INSTANCE_PICTURES, REGULARIZATION_PICTURES
from ..storage.text import printable
from .findings import Finding, named, paths, pictures
from .missing_captions import empty_texts
from .prompt_syntax import prompt_syntax

MUCH_MEMORY = 4 * 2**30
"""A cache in memory of more bytes than this is reported."""
ENLARGED = 1.5
"""Pictures enlarged more than this are reported."""
CUT = 0.75
"""Pictures that keep less than this share of their area are reported."""
MANY_CONCEPTS = 3
"""Least number of concepts that is reported."""


def advice(scan: Scan, plan: Plan, method: str = "") -> list[Finding]:
    """Return the findings on a scanned dataset and the plan made from it.

    ``method``: the name of the method that is to be trained; a full fine-tune needs other numbers of pictures.
    """
    full = method == "full"
    found = [finding for number in range(len(scan.concepts)) for finding in _counts(scan, plan, number, full)]
    found += [*(_full(scan) if full else []), *_concepts(scan)]
    found += [*empty_texts(scan, plan), *_triggers(scan, plan), *prompt_syntax(scan, plan)]
    found += [*_unused_texts(scan, plan), *_masks(scan, plan)]
    return [*found, *_sizes(scan, plan), *_memory(plan), *_buckets(scan, plan)]


def cache_bytes(plan: Plan) -> int:
    """Return the bytes of all encoded pictures: mean and std of 4 latent channels in float32, mirrored ones too."""
    cells = sum(g.bucket.width * g.bucket.height // FACTOR**2 for g in plan.geometries)
    return cells * 2 * 4 * 4 * (2 if 0 < plan.dataset.flip < 1 else 1)


def _full(scan: Scan) -> list[Finding]:
    """Return a finding where there are too few pictures for a full fine-tune."""
    count = len(scan.instances)
    if count >= FULL_PICTURES:
        return []
    text = (
        f"A full fine-tune needs thousands of pictures, and there {'is' if count == 1 else 'are'} {pictures(count)}: "
        "add more, or train a LoRA or DreamBooth, which need few."
    )
    files = paths(scan.pictures, scan.instances)
    return [Finding("too_few_for_full", text, files, None, {"pictures": count, "low": FULL_PICTURES})]


def _concepts(scan: Scan) -> list[Finding]:
    """Return a finding where a run is to learn many concepts."""
    count = len(scan.concepts)
    if count < MANY_CONCEPTS:
        return []
    text = (
        f"{count} concepts are learned in one run: the more there are, the harder it is to keep them apart, and the "
        "more steps it takes. The saved file doesn't grow with their number. If they mix, train each alone."
    )
    return [Finding("many_concepts", text, (), None, {"concepts": count})]


def _counts(scan: Scan, plan: Plan, number: int, full: bool) -> list[Finding]:
    concept = scan.concepts[number]
    own = paths(scan.pictures, (i for i in scan.instances if scan.pictures[i].concept == number))
    others = paths(scan.pictures, (i for i in scan.regularization if scan.pictures[i].concept == number))
    name, count = printable(concept.name), len(own)
    low, high = FULL_PICTURES_PER_CONCEPT if full else INSTANCE_PICTURES[concept.kind]
    facts = {"pictures": count, "low": low, "high": high}
    found = []
    # Of a full fine-tune's one large set, how many pictures each concept in it has isn't known.
    if count < low or (count > high and not full):
        kind, better = ("too_few_pictures", "more") if count < low else ("too_many_pictures", "fewer, better ones")
        what = "each concept of a full fine-tune" if full else f"a {concept.kind}"
        text = f"Concept {name!r} has {pictures(count)}; {what} needs {low}–{high}: consider {better}."
        found.append(Finding(kind, text, own, number, facts))
    if plan.train.prior_loss_weight == 0 or (full and not others):
        return found
    least, most = (times * count for times in REGULARIZATION_PICTURES)
    per_picture = "–".join(map(str, REGULARIZATION_PICTURES))
    facts = {"pictures": count, "regularization": len(others), "low": least, "high": most}
    if not others:
        text = (
            f"Concept {name!r} has no regularization pictures: its class may take on the concept (bleeding). "
            f"{per_picture} for each instance picture are recommended."
        )
        found.append(Finding("no_regularization", text, (), number, facts))
    elif not least <= len(others) <= most:
        text = (
            f"Concept {name!r} has {len(others)} regularization pictures for {pictures(count)}, "
            f"{len(others) / count:.1f} for each; {per_picture} for each are recommended."
        )
        found.append(Finding("regularization_ratio", text, others, number, facts))
    return found


def _triggers(scan: Scan, plan: Plan) -> list[Finding]:
    found = []
    for number, concept in enumerate(scan.concepts):
        if not concept.trigger:
            continue
        own = [i for i in scan.instances if scan.pictures[i].concept == number]
        lacking = [i for i in own if concept.trigger.lower() not in plan.fixed_sample(i).caption.lower()]
        if lacking:
            files = paths(scan.pictures, lacking)
            text = (
                f"The trigger {printable(concept.trigger)!r} is missing from {len(lacking)} of {len(own)} captions "
                f"({named(files)}): add it to them, or use a template such as '[name], [filewords]'."
            )
            found.append(Finding("trigger_missing", text, files, number, {"trigger": concept.trigger}))
    return found


def _unused_texts(scan: Scan, plan: Plan) -> list[Finding]:
    files = scan.unused_texts
    if not files or plan.dataset.captions == "filename":
        return []
    return [Finding("texts_without_pictures", unused_text(files), files)]


def _masks(scan: Scan, plan: Plan) -> list[Finding]:
    alpha = plan.dataset.alpha == "mask"
    masked = any(p.mask_path is not None or (alpha and p.has_alpha) for p in scan.pictures)
    files = [p.path for p in scan.pictures if p.mask_path is not None]
    if files and not plan.train.masked_loss:
        text = (
            f"{pictures(len(files))} {'has' if len(files) == 1 else 'have'} a mask ({named(files)}), but "
            "train.masked_loss is off, so masks change nothing: switch it on to train only what is white in them."
        )
        return [Finding("masks_not_used", text, tuple(files))]
    if not plan.train.masked_loss or masked:
        return []
    text = (
        "train.masked_loss is on, but no picture has a mask, so it changes nothing: save masks as NAME-mask.png next "
        "to their pictures, or use transparency with dataset.alpha=mask."
    )
    return [Finding("no_masks", text)]


def _sizes(scan: Scan, plan: Plan) -> list[Finding]:
    found = []
    small = [i for i in scan.instances if _enlarged(scan.pictures[i], plan.geometries[i].resized) > ENLARGED]
    if small:
        files = paths(scan.pictures, small)
        text = (
            f"{pictures(len(small))} {_is(len(small))} enlarged more than {ENLARGED:g} times ({named(files)}): "
            "use larger originals, a lower resolution, or dataset.no_upscale."
        )
        found.append(Finding("enlarged", text, files))
    by_hand = [i for i, picture in enumerate(scan.pictures) if picture.crop is not None]
    if by_hand:
        files = paths(scan.pictures, by_hand)
        text = (
            f"{pictures(len(by_hand))} {_is(len(by_hand))} cropped where you moved the crop by hand ({named(files)})."
        )
        found.append(Finding("cropped_by_hand", text, files))
    cut = [i for i in scan.instances if plan.geometries[i].kept < CUT and scan.pictures[i].crop is None]
    if cut:
        files = paths(scan.pictures, cut)
        text = (
            f"{pictures(len(cut))} {_is(len(cut))} cropped by more than a quarter ({named(files)}): "
            f"crop {_them(len(cut))} yourself, or allow longer buckets."
        )
        found.append(Finding("cut", text, files))
    return found


def _memory(plan: Plan) -> list[Finding]:
    needed = cache_bytes(plan)
    if plan.dataset.cache != "memory" or needed <= MUCH_MEMORY:
        return []
    text = f"The cache needs {needed / 2**30:.1f} GB of memory; dataset.cache=disk keeps it on disk instead."
    return [Finding("cache_memory", text, facts={"bytes": needed})]


def _buckets(scan: Scan, plan: Plan) -> list[Finding]:
    few = [queue for queue in plan.queues if 0 < queue.showings < plan.train.batch_size]
    if not few:
        return []
    listed = ", ".join(str(queue.bucket) for queue in few[:4]) + (" …" if len(few) > 4 else "")
    filled = any(queue.showings >= plan.train.batch_size for queue in plan.queues)
    text = (
        f"{len(few)} bucket{'s' if len(few) > 1 else ''} ({listed}) would not fill a batch of "
        f"{plan.train.batch_size} in an epoch: every few epochs, the same pictures appear several times in one batch. "
        f"{'Crop them to the shape of the others, or lower' if filled else 'Lower'} the batch size."
    )
    files = paths(scan.pictures, _unique([i for queue in few for i in queue.instances]))
    facts = {"buckets": [[queue.bucket.width, queue.bucket.height] for queue in few]}
    return [Finding("small_buckets", text, files, facts=facts)]


def _unique(rows: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(rows))


def _enlarged(picture: Picture, resized: tuple[int, int]) -> float:
    return min(resized[0] / picture.width, resized[1] / picture.height)


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"
