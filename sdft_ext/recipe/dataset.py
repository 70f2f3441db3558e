"""The recipe's section ``dataset``: pictures and captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .concept import Concept
from .field import setting

AlphaUse = Literal["composite", "mask"]


CaptionSource = Literal["auto", "text", "filename"]


CaptionLines = Literal["join", "choose", "first"]


Crop = Literal["center", "random"]


LatentSample = Literal["mean", "random"]


CacheWhere = Literal["none", "memory", "disk"]


@dataclass
class DatasetRecipe:
    concepts: list[Concept] = setting(
        factory=lambda: [Concept()], label="Concepts", help="What is taught, each with its own folders.", folded=False
    )
    resolution: int = setting(
        512,
        label="Resolution",
        help="Side of a square picture, in pixels; other shapes get the same area. Use the size the base model "
        "was made with.",
        low=16,
        high=4096,
        folded=False,
    )
    buckets: bool = setting(
        True,
        label="Aspect-ratio buckets",
        help="Train each picture near its own shape instead of cropping all to squares.",
    )
    bucket_step: int = setting(
        64, label="Bucket step", help="Bucket sides are multiples of this many pixels.", low=8, high=512
    )
    bucket_min: int = setting(256, label="Smallest bucket side", help="In pixels.", low=8, high=4096)
    bucket_max: int = setting(1024, label="Largest bucket side", help="In pixels.", low=8, high=8192)
    no_upscale: bool = setting(
        False,
        label="Never enlarge",
        help="Pictures smaller than the resolution keep their size and go into smaller buckets.",
    )
    crop: Crop = setting(
        "center",
        label="Crop",
        help="Where a picture that doesn't fit its bucket is cropped: in the middle, or at a new random place each "
        "epoch. Crops that you have moved by hand stay where they are.",
    )
    flip: float = setting(
        0.0,
        label="Mirror",
        help="Share of showings that are mirrored left to right. Not for text or asymmetric faces.",
        low=0.0,
        high=1.0,
    )
    alpha: AlphaUse = setting(
        "composite",
        label="Transparency",
        help="Put transparent pictures on the background colour, or use their alpha channel as the loss mask (opaque "
        "areas are trained).",
    )
    background: str = setting(
        "white", label="Background colour", help="Behind transparent pictures: a colour name or #rrggbb."
    )
    captions: CaptionSource = setting(
        "auto",
        label="Captions from",
        help="Text files (.txt, .caption) next to the pictures, file names (without their numbering), or auto: the "
        "text file where there is one, the file name elsewhere.",
    )
    caption_lines: CaptionLines = setting(
        "join",
        label="Lines of a caption",
        help="What a caption file with several lines is: join makes one caption of them; with choose, each line is a "
        "caption of its own, and one is chosen each time the picture is shown; first takes the first line alone.",
    )
    wildcards: bool = setting(
        False,
        label="Wildcards",
        help="In captions, {red|blue} becomes one of the words, chosen each time the picture is shown; {{ and }} are "
        "plain braces. Off: captions are trained as they are written.",
    )
    linked_folder: str = setting(
        "",
        label="Folder of linked files",
        help="Links inside the dataset's folders may also lead into this folder; those that lead elsewhere are left "
        "out. Nothing is ever written through a link.",
        path=True,
    )
    template: str = setting(
        "",
        label="Caption template",
        help="[name] becomes the concept's trigger, [filewords] the caption. Empty: the caption alone.",
    )
    prefix: str = setting("", label="Prefix", help="Put before every instance caption.")
    suffix: str = setting("", label="Suffix", help="Put after every instance caption.")
    shuffle_tags: bool = setting(
        False, label="Shuffle tags", help="A new order of the comma-separated tags each time a picture is shown."
    )
    keep_tags: int = setting(
        0,
        label="Keep first tags",
        help="This many tags at the front are neither shuffled nor dropped.",
        low=0,
        high=1000,
    )
    tag_dropout: float = setting(0.0, label="Tag dropout", help="Share of tags left out each time.", low=0.0, high=1.0)
    caption_dropout: float = setting(
        0.0,
        label="Caption dropout",
        help="Share of showings of instance pictures with an empty caption.",
        low=0.0,
        high=1.0,
    )
    regularization_caption_dropout: float = setting(
        0.0,
        label="Regularization caption dropout",
        help="Share of showings of regularization pictures with an empty caption. They hold in place what the model "
        "draws for an empty prompt, which every picture with a CFG scale builds on.",
        low=0.0,
        high=1.0,
    )
    cache: CacheWhere = setting(
        "memory",
        label="Cache",
        help="Where encoded pictures and captions are kept: nowhere, in memory, or on disk, for later runs too.",
    )
    cache_folder: str = setting(
        "", label="Cache folder", help="Folder of the disk cache. Empty: 'cache' next to the run folders.", path=True
    )
    latents: LatentSample = setting(
        "mean", label="Latent sampling", help="Use the mean of the VAE's distribution, or a new sample of it each time."
    )
