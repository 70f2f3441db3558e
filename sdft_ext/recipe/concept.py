"""One concept of a recipe: what is taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .field import setting

Kind = Literal["subject", "style"]


@dataclass
class Concept:
    """A concept: its pictures, and the words that call it in a prompt."""

    name: str = setting(
        "concept", label="Concept", help="Your name for it, used in reports and file names.", folded=False
    )
    kind: Kind = setting(
        "subject", label="Subject or style", help="A subject needs 5–20 pictures, a style 50–200.", folded=False
    )
    trigger: str = setting(
        "",
        label="Trigger",
        help="A rare word that calls the concept, such as 'sks'. [name] in a template stands for it.",
        folded=False,
    )
    class_word: str = setting(
        "",
        label="Class word",
        help="What the model already calls such a thing ('dog', 'shape'). It is the caption of regularization "
        "pictures that have none.",
        folded=False,
    )
    instance: str = setting(
        "", label="Instance pictures", help="Folder with the pictures of the concept.", folded=False, path=True
    )
    regularization: str = setting(
        "",
        label="Regularization pictures",
        help="Folder with pictures of the class, not of the concept: they hold the rest of the model in place. "
        "20–100 for each instance picture.",
        folded=False,
        path=True,
    )
    repeats: int = setting(
        1, label="Repeats", help="How often each instance picture is shown in an epoch.", low=1, high=100000
    )
    regularization_repeats: int = setting(
        1,
        label="Regularization repeats",
        help="How often each regularization picture may be shown in an epoch.",
        low=1,
        high=100000,
    )
    loss_weight: float = setting(
        1.0, label="Loss weight", help="Weight of this concept's loss relative to the others.", low=0.0, high=100.0
    )
