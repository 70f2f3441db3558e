"""What the routes of ``captions`` take and answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from ..desk.caption_answers import MOST_SHOWN
from ..desk.captions import Selection
from .common import Plain, Thumbnail


class OpenRequest(BaseModel):
    folder: str
    start: int = Field(0, ge=0, description="The first picture of the answer.")
    linked_folder: str = Field("", description="The recipe's `dataset.linked_folder`: links may lead there, too.")


class OpenedRequest(BaseModel):
    folder: str
    opened: str = Field(description="From captions/open.")


class ChangeRequest(OpenedRequest):
    since: int | None = Field(None, description="The page's revision: what changed after it comes back, too.")


class StateRequest(OpenedRequest):
    since: int = Field(0, ge=0, description="A revision.")


class SelectionRequest(OpenedRequest):
    ids: list[int] | None = Field(None, description="Of pictures; with a filter, those of them that pass.")
    filter: Plain | None = Field(None, description="Without `ids` or a filter, it is about all pictures.")

    @property
    def selection(self) -> Selection:
        return Selection(self.folder, self.opened, self.ids, self.filter)


class PreviewRequest(SelectionRequest):
    edit: Plain = Field(description="One of the edits below.")
    most: int = Field(20, ge=0, le=MOST_SHOWN, description="Captions that are shown.")


class EditRequest(SelectionRequest):
    edit: Plain = Field(description="One of the edits below.")
    preview: str | None = Field(None, description="The token of a preview.")
    revision: int | None = Field(None, description="Of the one picture that is edited.")
    since: int | None = None


class SaveRequest(SelectionRequest):
    since: int | None = None


class AutosaveRequest(ChangeRequest):
    on: bool


class ResolveRequest(ChangeRequest):
    ids: list[int]
    keep: str = Field(description="`mine` or `theirs`.")


class TagsRequest(SelectionRequest):
    trigger: str = ""
    most: int = Field(500, ge=0, le=20_000)
    order: str = Field("count", description="`count`, `tag` or `position`.")


class TokensRequest(OpenedRequest):
    id: int | None = Field(None, description="Of a picture.")
    text: str | None = Field(None, max_length=200_000, description="Instead of a picture's caption.")
    trigger: str = Field("", max_length=1_000, description="Words whose share `budget` gives.")


class DuplicatesRequest(OpenedRequest):
    look: bool = Field(False, description="Start the search, or search again where pictures have changed.")


class ImportRequest(ChangeRequest):
    format: str = Field(description="One of the formats below.")
    content: str = Field("", description="The file's text; empty for formats with a file beside each picture.")
    how: str = Field(
        "replace", description="`replace`, `append`, `prepend`, or `empty` (only where there is no caption)."
    )
    apply: bool = Field(False, description="Change the captions; else it is a preview.")
    preview: str | None = Field(None, description="The token of a preview.")


class ExportRequest(SelectionRequest):
    format: str = Field(description="One of the formats below.")
    to: str = Field("", description="A folder; empty for a download.")
    replace: bool = Field(False, description="Overwrite files with other content.")
    resolution: int = Field(512, ge=64, le=8192, description="Of the buckets in meta_lat.")


class CaptionedPicture(Thumbnail):
    """A picture and its caption."""

    id: int = Field(description="For as long as `opened` is valid.")
    name: str = Field(description="Path below the folder.")
    picture: str = Field(description="Path of its thumbnail below `/sdft/v1/`; it changes with the picture.")
    width: int
    height: int
    caption: str = Field(description="As it is now; lines end with `\\n`.")
    tokens: int | None = Field(None, description="Null where they haven't been counted yet.")
    concept: str = Field(description="The subfolder that it lies in; empty for the folder itself.")
    source: Literal["txt", "caption", "folder", "name", "none"] = Field(
        description="A file, or the name of the folder or the picture; an edit makes a `.txt`."
    )
    state: Literal["saved", "changed", "conflict", "locked"] = Field(
        description="`changed` is not written yet; the file of a `locked` one can't be edited (a problem says why)."
    )
    revision: int = Field(description="Grows with every change of the picture.")


class CaptionHistory(BaseModel):
    undo: str | None = Field(None, description="What would be undone, such as `rename a tag in 7 captions`.")
    redo: str | None = None
    unsaved: int
    conflicts: int
    autosave: bool
    writable: bool = Field(description="False where edits are refused.")
    why: str = Field(description="A sentence where they are.")


class ConceptCount(BaseModel):
    concept: str
    pictures: int


class OpenResponse(BaseModel):
    opened: str
    folder: str
    total: int
    pictures: list[CaptionedPicture] = Field(description="In the order of names: all, or as many as 4 MB hold.")
    next: int | None = Field(None, description="`start` of the following request.")
    concepts: list[ConceptCount]
    problems: list[str]
    revision: int
    history: CaptionHistory
    trigger: str = Field(description="A guess, from what all captions begin with; may be empty.")


class ChangedResponse(BaseModel):
    """What has changed."""

    changed: list[CaptionedPicture]
    gone: list[int] = Field(description="Ids of pictures that no longer exist.")
    revision: int = Field(description="Of the set.")
    history: CaptionHistory


class CountsResponse(BaseModel):
    counts: list[list[int]] = Field(description="Each an id and its tokens.")


class FilterResponse(BaseModel):
    ids: list[int] = Field(description="In the order of names.")
    total: int


class TagCount(BaseModel):
    tag: str
    count: int
    share: float = Field(description="Of the captions, 0–1.")
    position: float = Field(description="Its mean place; 1 is the first.")
    with_trigger: float | None = Field(None, description="The share of its captions that hold the trigger.")
    fused: bool = Field(description="It is in all captions, and learned with the concept.")
    variants: list[str] = Field(description="Other spellings, such as with capitals.")


class TagsResponse(BaseModel):
    captions: int = Field(description="How many aren't empty.")
    total: int = Field(description="Different tags.")
    tags: list[TagCount]
    text: str = Field(description="A sentence on the fused ones.")


class Token(BaseModel):
    text: str
    part: int = Field(description="The index of its part in `parts`.")
    word_end: bool


class CaptionPart(BaseModel):
    text: str
    tokens: int
    share: float
    chunk: int = Field(description="Where it begins.")


class CaptionWord(BaseModel):
    text: str = Field(description="As it is written, with the comma behind it.")
    tokens: int
    share: float
    part: int = Field(description="The index of its part in `parts`.")


class TokensResponse(BaseModel):
    count: int
    chunks: list[list[Token]]
    parts: list[CaptionPart] = Field(description="Separated by commas; a comma counts with the part before it.")
    words: list[CaptionWord] = Field(description="Empty where several words are read together.")
    budget: str = Field(description="A sentence: how the words share what a step can change. May be empty.")
    cut: str = Field(description="What a trainer that reads 75 tokens would leave out, as it is written. May be empty.")
    strategy: Literal["trigger", "tags", "sentence"]
    advice: list[str]


class CaptionStrategy(BaseModel):
    name: str
    label: str
    text: str = Field(description="What it does to training.")


class StrategiesResponse(BaseModel):
    strategies: list[CaptionStrategy]


class DuplicateSearchResponse(BaseModel):
    state: Literal["none", "searching", "finished", "failed"]
    done: int
    total: int
    groups: list[list[int]] = Field(description="Ids.")
    message: str


class CaptionChange(BaseModel):
    id: int
    before: str
    after: str


class PreviewResponse(BaseModel):
    """What an edit would change."""

    preview: str = Field(description="A token.")
    count: int = Field(description="Captions that change.")
    of: int = Field(description="Captions that were asked about.")
    ids: list[int] = Field(description="Those that change.")
    shown: list[CaptionChange] = Field(description="The first `most`.")
    notes: list[str] = Field(description="Such as captions that stay as they are because they would become too long.")


class EditResponse(ChangedResponse):
    """What an edit has changed."""

    count: int
    notes: list[str]


class StepResponse(EditResponse):
    done: str = Field(description="What was undone or redone.")


class FailedCaption(BaseModel):
    id: int
    text: str


class SaveResponse(ChangedResponse):
    saved: int
    conflicts: list[int] = Field(description="Ids.")
    failed: list[FailedCaption]
    notes: list[str]


class CaptionConflict(BaseModel):
    id: int
    name: str
    before: str | None = Field(None, description="The text that both started from.")
    mine: str
    theirs: str | None = Field(None, description="The text on disk; null where the file was deleted.")


class ConflictsResponse(BaseModel):
    conflicts: list[CaptionConflict]


class ImportPreviewResponse(PreviewResponse):
    """What an import would change."""

    unmatched: int = Field(description="Names that no picture has.")
    unmatched_names: list[str] = Field(description="The first 20.")


class ImportEditResponse(EditResponse):
    """What an import has changed."""

    unmatched: int = Field(description="Names that no picture has.")
    unmatched_names: list[str] = Field(description="The first 20.")


class ExportResponse(BaseModel):
    name: str = Field("", description="Of a download.")
    content: str = Field("", description="Of a download.")
    count: int = Field(0, description="Captions in a download.")
    written: int = Field(0, description="Files in a folder.")
    left: list[str] = Field([], description="Names of files that are there with other content.")
    notes: list[str]
