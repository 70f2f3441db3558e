"""The interface of a tagger, which takes a picture and names what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ..errors import SdftError

if TYPE_CHECKING:
    from PIL import Image

Kind = Literal["general", "character", "rating"]


class TaggerError(SdftError, ValueError):
    """A tagger can't be used; the message says what is missing or wrong, and what to do."""


@dataclass(frozen=True)
class Tag:
    """A tag as the tagger writes it, often with underscores; ``score`` is from 0 to 1."""

    name: str
    score: float
    kind: Kind = "general"


@dataclass(frozen=True)
class Seen:
    """What a picture shows: tags, highest score first, or one sentence."""

    tags: tuple[Tag, ...] = ()
    sentence: str = ""


class Tagger(Protocol):
    """A tagger. ``id`` names it to programs, ``label`` to people; ``sentences``: it writes a sentence, not tags."""

    id: str
    label: str
    sentences: bool

    @property
    def why(self) -> str:
        """Why it can't be used now: what is missing and where to put it; '' if it can. Nothing is downloaded."""
        ...

    def see(self, picture: Image.Image) -> Seen:
        """Tag one RGB picture. Called from one thread at a time. Raises TaggerError."""
        ...

    def close(self) -> None:
        """Free the model's memory."""
        ...
