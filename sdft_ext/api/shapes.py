"""What requests and answers hold, for FastAPI's checks and its description. Written for pydantic 1 and 2 alike."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

Plain = dict[str, Any]


class Empty(BaseModel):
    """Nothing to say but the wish itself."""


class Ok(BaseModel):
    ok: bool = True


class RecipeIn(BaseModel):
    recipe: Plain = Field(description="Nested as in its YAML file; what is left out has its default.")


class RecipeText(BaseModel):
    recipe: Plain | None = Field(None, description="Nested, to be written as YAML.")
    yaml: str = Field("", description="A recipe file's text, to be read.")


class RecipeTold(BaseModel):
    recipe: Plain
    yaml: str


class Started(BaseModel):
    id: str


class ModelTold(BaseModel):
    name: str
    path: str
    family: str
    device: str
    trainable: bool
    why: str = ""


class MemoryTold(BaseModel):
    free_mb: float
    total_mb: float
    device: str


class HostTold(BaseModel):
    name: str
    model: ModelTold
    memory: MemoryTold
    features: list[str]


class Missing(BaseModel):
    packages: list[str]
    command: str


class Session(BaseModel):
    token: str = Field(description="To be sent as X-SDFT-Token with every request.")
    version: str
    host: HostTold
    missing: Missing | None = None
    warnings: list[str]


class Schema(BaseModel):
    sections: list[Plain]
    defaults: Plain
    example: Plain | None = Field(None, description="Settings of the example that comes with the program.")
    presets: list[Plain]
    methods: list[Plain]
    thorough: list[Plain]


class Guide(BaseModel):
    chapters: list[Plain]
    entries: list[Plain]


class Forecast(BaseModel):
    needed_mb: float
    free_mb: float
    parts: dict[str, float]
    fits: bool | None = None
    mode: str
    text: str


class Calculated(BaseModel):
    pictures: int
    regularization: int
    showings: int
    steps_per_epoch: int
    steps: int
    epochs: float
    saves: list[int]
    saves_count: int
    seconds: float | None = None
    measured: str
    warnings: list[str]
    problems: list[str] = Field(description="What keeps the recipe from starting.")
    memory: Forecast | None = None


class StatusTold(BaseModel):
    state: str = Field(description="waiting, preparing, training, drawing, paused, finished, stopped or failed")
    step: int
    total: int
    seconds_left: float
    message: str


class RunTold(StatusTold):
    id: str
    name: str
    started: float
    saves: int
    picture: str | None = None


class Runs(BaseModel):
    runs: list[RunTold]
    queue: list[str]
    current: str | None = None
    drawing: str | None = Field(None, description="Regularization pictures that are being drawn: regularization/NAME.")
    titles: dict[str, str] = Field(description="Of the regularization pictures in the queue, by id.")
    held: bool = Field(description="The queue waits for a word after a restart.")


class SaveTold(BaseModel):
    name: str
    file: str
    step: int
    epoch: int | None = None
    loss: float | None = None
    last: bool


class Controls(BaseModel):
    steps: list[int]
    prompts: list[Plain]


class RunInFull(StatusTold):
    id: str
    name: str
    started: float
    picture: str | None = None
    recipe: Plain
    yaml: str
    saves: list[SaveTold]
    controls: Controls
    facts: Plain
    report: str
    verdict: str
    advice: str
    grid: bool
    marks: list[Plain]


class StatusLines(BaseModel):
    status: StatusTold
    lines: list[Plain]
    next: int
    more: bool = Field(description="There are more lines already.")
    log: str = Field(description="Changes when the log was written anew: ask again from 0.")


class Order(BaseModel):
    ids: list[str]


class Differences(BaseModel):
    differences: list[Plain]


class TrashIn(BaseModel):
    saves: bool = Field(False, description="The run's files in the host's folders too.")


class PreviewIn(BaseModel):
    set: str
    number: int = Field(ge=0, le=9999)
    step: int = Field(ge=0)
    save: int = Field(description="The step of the save.")
    replace: bool = Field(False, description="Also a picture that somebody else put there.")


class Named(BaseModel):
    name: str


class Called(BaseModel):
    call: str
    word: str


class Tried(Called):
    name: str
    further: list[Called]


class HandoverIn(BaseModel):
    to: str
    saves: list[int]
    weights: list[float] = Field(default_factory=list)
    prompts: list[str] = Field(default_factory=list)


class Infotext(BaseModel):
    infotext: str
    checkpoint: str = Field("", description="Of a whole model: what is chosen as the checkpoint before.")


class TryoutIn(BaseModel):
    prompt: str
    negative: str = ""
    save: int | None = Field(None, description="The step of the save, or null for the base model.")
    weight: float = Field(1.0, ge=-10, le=10)
    seed: int = Field(0, ge=0, le=2**63 - 1)
    steps: int = Field(20, ge=1, le=150)
    guidance: float = Field(7.0, ge=0, le=100)
    size: int = Field(512, ge=16, le=2048)


class Picture(BaseModel):
    picture: str = Field(description="A data URL.")


class FolderTold(BaseModel):
    name: str
    path: str
    pictures: int


class FolderListing(BaseModel):
    path: str
    parent: str | None = None
    folders: list[FolderTold]
    pictures: int


class Thumbnail(BaseModel):
    name: str
    picture: str
    width: int
    height: int
    caption: str


class DatasetTold(BaseModel):
    folder: str
    pictures: int
    captions: int
    thumbnails: list[Thumbnail]
    problems: list[str]


class ReportTold(BaseModel):
    id: str
    state: str = Field(description="waiting, reading, looking, comparing, finished, cancelled or failed")
    done: int
    total: int
    message: str
    report: Plain | None = None


class FilesTold(BaseModel):
    files: list[Plain]
    total: int


class CopiesTold(BaseModel):
    groups: list[Plain]
    total: int


class FilesIn(BaseModel):
    files: list[int] = Field(default_factory=list, description="Numbers of files, as the report names them.")
    finding: int | None = Field(None, description="All files of a finding, by its number.")
    exact: bool = Field(False, description="All exact copies but the one of each group that is kept.")


class RemovedTold(BaseModel):
    removed: list[Plain]


class KeepIn(BaseModel):
    finding: int
    undo: bool = False


class RemovalsTold(BaseModel):
    folder: str
    removals: list[Plain]


class RestoreIn(BaseModel):
    folder: str
    id: str


class Restored(BaseModel):
    files: int


class UploadIn(BaseModel):
    folder: str = Field("", description="A folder that may be used; empty for a new one.")
    name: str = Field("", description="Of the new folder.")


class UploadTold(BaseModel):
    id: str
    folder: str


class UploadedFile(BaseModel):
    taken: bool


class UploadDone(BaseModel):
    folder: str
    pictures: int
    captions: int
    same: int = Field(description="Files that are there already, byte for byte.")
    renamed: int = Field(description="Pictures that got another name, as theirs is another picture's.")
    refused: list[str]


class RegularizationIn(BaseModel):
    prompts: list[str] = Field(description="Class prompts, such as a dog; the pictures take them in turn.")
    folder: str = Field("", description="Where the pictures go; empty for one of their own.")
    count: int = 200
    seed: int = 1
    sampler: str
    negative: str = ""
    steps: int = 20
    guidance: float = 7.0
    width: int = 512
    height: int = 512
    clip_skip: int = Field(1, ge=1, le=12)
    at_once: int = 1
    drop_duplicates: bool = True


class RegularizationTold(BaseModel):
    name: str
    folder: str
    wanted: Plain
    state: str = Field(description="waiting, drawing, paused, finished, stopped or failed")
    done: int
    total: int
    seconds_left: float
    message: str
    started: float
    newest: list[Plain]


class Regularizations(BaseModel):
    samplers: list[str]
    jobs: list[RegularizationTold]


class TaggerOne(BaseModel):
    id: str
    label: str
    sentences: bool
    why: str


class Taggers(BaseModel):
    taggers: list[TaggerOne]
    folder: str
    help: str


class TaggerIn(BaseModel):
    tagger: str
    folder: str
    opened: str
    ids: list[int] | None = None
    filter: Any = None


class TaggerTold(BaseModel):
    id: str
    tagger: str
    state: str = Field(description="looking, finished, stopped or failed")
    done: int
    total: int
    seconds_left: float
    message: str
    unreadable: list[str]


class TaggedIn(BaseModel):
    how: str = Field("append", description="replace, append, front or empty")
    threshold: float = 0.35
    character_threshold: float = 0.85
    blacklist: str = Field("", description="Tags, with commas or lines between them.")
    prefix: str = ""
    spaces: bool = True
    escape: bool = False
    rating: bool = False
    most: int = Field(20, ge=0, le=200)
    preview: str | None = None
    since: int | None = None


class Failed(BaseModel):
    detail: str = Field(description="One sentence that says what happened and what to do.")
