"""What a page asks at its start, and while its user changes settings."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from ..desk.guide import guide as read_guide
from ..recipe import Kind
from .common import Plain, RecipeRequest
from .guard import Guard
from .route import TAGS, json_response


class LoadedModel(BaseModel):
    name: str
    path: str
    family: str
    device: str
    trainable: bool
    why: str = Field("", description="A sentence where it can't be trained.")
    held: str = Field(
        "", description="The number format of its weights, `fp32`, `fp16` or `bf16`; empty without a model."
    )


class DeviceMemory(BaseModel):
    free_mb: float
    total_mb: float
    device: str


class HostInformation(BaseModel):
    name: str = Field(description="`webui` or `standalone`.")
    model: LoadedModel
    memory: DeviceMemory
    features: list[str] = Field(description="Of `txt2img`, `xyz`, `cards`, `tryout`, `faces` and `load`.")


class MissingPackages(BaseModel):
    packages: list[str]
    command: str = Field(description="What installs them.")


class SessionResponse(BaseModel):
    token: str = Field(description="To be sent as X-SDFT-Token with every request.")
    version: str = Field(description="Of sdft.")
    host: HostInformation
    missing: MissingPackages | None = Field(None, description="Null where nothing is missing.")
    warnings: list[str] = Field(description="Sentences.")


class DeviceLoad(BaseModel):
    load: int = Field(description="Percent of the time in which it computes.")
    temperature: int = Field(description="In °C.")
    used_mb: float = Field(description="Of all programs.")
    total_mb: float


class DeviceResponse(BaseModel):
    device: DeviceLoad | None = Field(
        None,
        description="Null where nothing trains, or the package nvidia-ml-py is missing, or there is no NVIDIA GPU.",
    )


class SettingField(BaseModel):
    path: str
    label: str
    help: str
    type: Literal["text", "int", "float", "bool", "choice", "list", "map"]
    choices: list[str]
    low: float | None = Field(None, description="The lowest number allowed.")
    high: float | None = Field(None, description="The highest number allowed.")
    folded: bool = Field(description="The page puts it under a heading, as a newcomer need not see it.")
    is_path: bool
    is_folder: bool
    unit: str = Field(description="What a number counts; empty where its label says so.")
    allowed: str = Field(description="The range in words.")
    default: Any = None
    guide: str | None = Field(None, description="The id of the guide's entry.")
    at_resume: bool = Field(description="Whether a run can be resumed with another value.")
    methods: list[str] = Field(description="The methods that use it; empty for all.")


class SettingSection(BaseModel):
    path: str
    label: str
    help: str
    fields: list[SettingField]
    repeated: bool = Field(description="True for concepts, whose fields have the paths of the first one.")


class Example(BaseModel):
    help: str
    settings: Plain = Field(description="Values by path.")


class Preset(BaseModel):
    name: str
    label: str
    help: str
    settings: Plain = Field(description="Values by path.")


class GuideLink(BaseModel):
    label: str
    url: str


class GuideValues(BaseModel):
    difficulty: str
    subject: str
    style: str
    memory: str


class MethodFigures(BaseModel):
    learned: float = Field(description="Share of the pictures with the trigger that show the concept.")
    bleeding: float = Field(description="Share of those without it that show it all the same, in the worst group.")
    steps: int
    seconds: int = Field(description="Of one processor core, for the whole run.")
    file: str = Field(description="Size of the saved file, in words.")


class MethodInformation(BaseModel):
    name: str
    label: str
    help: str
    guide: GuideValues | None = Field(None, description="What the guide says of it; null where it doesn't name it.")
    measured: dict[Literal["subject", "style", "known", "known-style"], MethodFigures] = Field(
        description="What it learned on the toy model (docs/methods.md): a subject and a style that the model can't "
        "draw, and `known` ones that it can draw when it is asked in other words. Some may be missing."
    )
    source: GuideLink = Field(description="Where it was published.")
    whole_model: bool = Field(
        description="True where it trains the model's own weights: its saves are checkpoints, unless "
        "`method.full.save_as` is `lora`."
    )


class RecommendedPictures(BaseModel):
    instance: dict[str, list[int]] = Field(description="At least and at most, by the kind of the concept.")
    regularization: list[int] = Field(description="At least and at most, for each instance picture.")


class SchemaResponse(BaseModel):
    sections: list[SettingSection]
    defaults: Plain = Field(description="The default recipe.")
    examples: dict[Kind, Example] = Field(
        description="The examples that come with the program, by the kind of concept."
    )
    presets: list[Preset]
    methods: list[MethodInformation]
    thorough: list[Preset] = Field(description="How long to train, in three sizes.")
    recommended: RecommendedPictures


class GuidePlace(BaseModel):
    panel: str = Field(description="A panel of the page; empty for a setting.")
    tool: str = Field(description="A tool of the panel `tools`, or empty.")
    setting: str = Field(description="A setting's path; empty for a panel.")
    label: str = Field(description="What the page's button says; empty for a setting, which has its own label.")


class GuideChapter(BaseModel):
    title: str
    paragraphs: list[str]
    places: list[GuidePlace]
    links: list[GuideLink]


class GuideEntry(BaseModel):
    id: str
    term: str
    text: str
    settings: list[str] = Field(description="Paths of the settings that it explains.")
    command: str = Field(description="A command to run in a console; empty for most.")
    places: list[GuidePlace]
    links: list[GuideLink]


class GuideResponse(BaseModel):
    chapters: list[GuideChapter]
    entries: list[GuideEntry]


class RecipeFormsRequest(BaseModel):
    recipe: Plain | None = Field(None, description="Nested, to be written as YAML.")
    yaml: str = Field("", description="A recipe file's text, to be read.")


class RecipeFormsResponse(BaseModel):
    recipe: Plain
    yaml: str


class MemoryForecast(BaseModel):
    needed_mb: float
    free_mb: float
    parts: dict[str, float] = Field(description="Megabytes of each part at that moment.")
    moment: str = Field(description="The moment of the run that needs the most.")
    fits: bool | None = Field(None, description="Null where it is close.")
    estimate: bool = Field(description="True where it was counted for a GPU, without trying.")
    mode: str = Field(description="`shared` or `exclusive`.")
    text: str


class MethodMemory(BaseModel):
    needed_mb: float
    fits: bool | None = Field(None, description="Null where it is close.")


class CalculateResponse(BaseModel):
    pictures: int
    regularization: int
    showings: int = Field(description="In an epoch.")
    steps_per_epoch: int
    steps: int
    epochs: float
    saves: list[int] = Field(description="Steps: at most 2,000, and the last one.")
    saves_count: int
    seconds: float | None = Field(None, description="Null where no speed is known yet.")
    preview_seconds: float | None = Field(
        None,
        description="Of them, for drawing and judging control pictures; null where that is not known.",
    )
    measured: str = Field(description="Where the speed was measured.")
    warnings: list[str]
    problems: list[str] = Field(
        description="Sentences that say what keeps the recipe from starting; one about a setting begins with its path."
    )
    suggested_triggers: dict[str, str] = Field(
        {},
        description="A rare word for each concept without a trigger, by the setting's path: one token of the "
        "vocabulary, and in no caption.",
    )
    proposed_prompts: dict[str, list[str]] = Field(
        {},
        description="What the run takes for control pictures, by the path of a list of prompts that is empty.",
    )
    memory: MemoryForecast | None = Field(None, description="Null where there are problems.")
    methods: dict[str, MethodMemory] = Field(
        {},
        description="The memory that the same run needs with each method, where settings that are still the method's "
        "preset become the other's. Empty where settings are wrong.",
    )
    disk: str = Field("", description="A sentence: what a run writes, and what is free. Empty if there are problems.")


def routes(desk: Desk, guard: Guard, route_class: type[APIRoute]) -> APIRouter:
    """``session``, ``device``, ``schema``, ``guide``, ``recipe`` and ``calculate``."""
    router = APIRouter(route_class=route_class, tags=TAGS)

    @router.get(
        "/session", response_model=SessionResponse, summary="Describe the host, its model, and the page's token"
    )
    def session() -> Response:
        """To be asked first: every other request that changes something needs the token."""
        return json_response({"token": guard.access.token, **desk.session()})

    @router.get("/device", response_model=DeviceResponse, summary="Say how busy the GPU is that trains")
    def device() -> Response:
        """It may be asked every second."""
        return json_response({"device": desk.device_load()})

    @router.get("/schema", response_model=SchemaResponse, summary="List every setting, presets and methods")
    def schema() -> Response:
        """What the page's controls are made from. `save.output`, `model.base` and `model.vae`, which the host decides,
        are left out.
        """
        return json_response(desk.recipes.schema())

    @router.get("/guide", response_model=GuideResponse, summary="Read the guide")
    def guide() -> Response:
        """Chapters, and terms with the settings that they explain."""
        return json_response(read_guide(desk.library.folder))

    @router.post("/recipe", response_model=RecipeFormsResponse, summary="Write a recipe as YAML, or read it from YAML")
    def recipe(body: RecipeFormsRequest) -> Response:
        """Answers both forms of one recipe. Nothing is started or kept."""
        return json_response(desk.recipes.both_forms(body.recipe, body.yaml))

    @router.post("/calculate", response_model=CalculateResponse, summary="Calculate what a recipe will do")
    def calculate(body: RecipeRequest) -> Response:
        """Steps, saves, time and memory, warnings, and what keeps it from starting. Nothing is started."""
        return json_response(desk.recipes.calculate(body.recipe))

    return router
