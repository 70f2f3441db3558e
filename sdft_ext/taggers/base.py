"""What a tagger is: it looks at one picture and names what it sees."""

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
    """``score`` from 0 to 1. Words as the tagger writes them, often with underscores."""

    name: str
    score: float
    kind: Kind = "general"


@dataclass(frozen=True)
class Seen:
    """Tags, the surest first, or one sentence."""

    tags: tuple[Tag, ...] = ()
    sentence: str = ""


class Tagger(Protocol):
    """``id`` names it to programs, ``label`` to people; ``sentences`` says whether it writes those instead of tags.

    ``why`` is a sentence where it can't be used now: what is missing, and where to put it. Nothing is downloaded.
    """

    id: str
    label: str
    sentences: bool

    @property
    def why(self) -> str: ...

    def see(self, picture: Image.Image) -> Seen:
        """Of one RGB picture. Raises TaggerError. Called from one thread at a time."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
