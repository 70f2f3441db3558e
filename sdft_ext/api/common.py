"""Request and response models that several files of routes share. All models work with pydantic 1 and 2 alike."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

Plain = dict[str, Any]
"""A JSON object whose keys its description names."""
OK = {"ok": True}
MOST_AT_ONCE = 200
"""Items of one kind in one answer."""


class EmptyRequest(BaseModel):
    """A body without fields: ``{}``."""


class OkResponse(BaseModel):
    ok: bool = Field(True, description="Always true.")


class StartedResponse(BaseModel):
    id: str


class NameResponse(BaseModel):
    name: str


class RecipeRequest(BaseModel):
    recipe: Plain = Field(description="Nested as in its YAML file; what is left out has its default.")


class Thumbnail(BaseModel):
    """A picture that has a thumbnail."""

    name: str
    picture: str = Field(description="Path of its thumbnail below `/sdft/v1/`.")
