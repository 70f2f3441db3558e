"""What was measured of a run's pictures."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..desk import Desk
from ..run_folder.ratings import RatedPicture as Rated
from .common import OK, OkResponse
from .route import PICTURE, TAGS, json_response, png


class PictureLoss(BaseModel):
    name: str = Field(description="Below `folder`.")
    folder: str = Field(description="The folder of its concept's instance pictures.")
    concept: str
    picture: str | None = Field(
        None, description="Path of its thumbnail below `/sdft/v1/`; null where it can't be shown."
    )
    caption: str = Field(description="As it is trained.")
    held_out: bool = Field(description="Kept out of training for the validation loss.")
    before: float | None = Field(None, description="Null where it was NaN or infinite.")
    now: float | None = None
    change: float | None = Field(None, description="-0.25 is a quarter less than before.")
    finding: Literal["", "hard", "memorized", "mislabelled"]
    text: str = Field(description="The finding as a sentence, with what to do.")


class PictureLossesResponse(BaseModel):
    before: int | None = Field(None, description="The first measured step; null where none was measured.")
    now: int | None = Field(None, description="The last measured step.")
    draws: int = Field(description="Of noise and timestep for each picture, the same at every step.")
    pictures: list[PictureLoss]
    text: str = Field(description="Why there are none, or none to compare with; else empty.")


class ComparedRun(BaseModel):
    id: str
    name: str
    concept: str = Field(description="The names of its concepts.")
    method: str
    base: str = Field(description="The file of its base model.")
    rate: float = Field(description="`train.learning_rate`")
    steps: int = Field(description="Trained so far.")
    seconds: float = Field(description="Trained so far; 0 where it isn't known.")
    word: str = Field(description="Its verdict in a word; empty where there is none.")
    text: str = Field(description="Its verdict.")
    save: int | None = Field(None, description="The step of the save that its verdict recommends.")
    learned: list[int] | None = Field(None, description="Of that save: [pictures that show the concept, of how many].")
    bleeding: list[int] | None = None
    copied: list[int] | None = None
    worth: float | None = Field(
        None, description="*Learned* less *bleeding* less *copied*; null where nothing is learned."
    )
    best: bool = Field(description="It is worth most of the runs of the same pictures and base model.")
    group: str = Field(description="Runs of the same pictures and base model have the same.")
    why: str = Field(description="Why there is no verdict; empty where there is one.")


class ComparedRunsResponse(BaseModel):
    runs: list[ComparedRun] = Field(description="Newest first.")


class RatingLead(BaseModel):
    label: str
    kind: Literal["section", "setting", "captions", "save"] = Field(
        description="A section of the Dataset panel, a setting, the Captions panel filtered by a word, another save."
    )
    target: str = Field(
        description="The section's name, the setting's path, `with` or `without` the word, `recommended` or `earlier`."
    )


class RatingKind(BaseModel):
    name: str
    label: str
    help: str = Field(description="What it means.")
    advice: str
    leads: list[RatingLead] = Field(description="Ways to follow the advice.")


class RatedPicture(BaseModel):
    set: str = Field(description="`concept`, `bleeding`, or `words` for pictures of trained words.")
    number: int = Field(ge=0, le=9999)
    step: int = Field(ge=0)
    rating: str = Field(description="The name of its kind.")


class ProposedRating(RatedPicture):
    text: str = Field(description="Why.")


class NearestPicture(BaseModel):
    set: str
    number: int = Field(description="Of the control picture.")
    step: int
    distance: float = Field(
        description="0 for the same picture, 1 for as far as instance pictures usually are from the nearest other one."
    )
    copied: bool = Field(description="So near that it repeats the instance picture.")
    name: str = Field(description="The instance picture, below `folder`.")
    folder: str
    concept: str
    picture: str | None = Field(
        None, description="Path of its thumbnail below `/sdft/v1/`; null where it can't be shown."
    )


class RatingsResponse(BaseModel):
    kinds: list[RatingKind]
    given: list[RatedPicture] = Field(description="By the user.")
    proposed: list[ProposedRating] = Field(description="By the judge's numbers, for the control pictures of saves.")
    nearest: list[NearestPicture] = Field(
        description="Of control pictures of saves that are to show a concept, the nearest instance picture."
    )
    folders: list[str] = Field(description="Of the concepts' instance pictures.")
    recommended: int | None = Field(None, description="The step of the save that the verdict recommends.")


class RateRequest(RatedPicture):
    rating: str = Field(description="Empty: take the rating back.")


class GivenRatingsResponse(BaseModel):
    given: list[RatedPicture] = Field(description="All ratings of the run.")


class TrainedWord(BaseModel):
    word: str
    count: int = Field(description="Captions that have it.")


class WordPicture(BaseModel):
    number: int
    word: int = Field(description="Its place in `words`.")
    prompt: str
    trigger: bool = Field(description="Whether the prompt has the trigger.")
    seed: int = Field(description="The same with and without the trigger.")
    drawn: bool = Field(description="Whether it exists already.")


class WordGridResponse(BaseModel):
    step: int | None = Field(None, description="Of the save that they were drawn with; null before there are any.")
    words: list[TrainedWord] = Field(description="The most frequent first.")
    pictures: list[WordPicture]


class DrawWordsRequest(BaseModel):
    save: int | None = Field(None, description="The step of the save to draw with; null for the last one.")


class MeasureRequest(BaseModel):
    pictures: int = Field(ge=1, le=1000, description="Control pictures of each set; more than the run has.")


def routes(desk: Desk, route_class: type[APIRoute]) -> APIRouter:
    """Everything that a run's pictures and saves are judged by, below ``runs``."""
    router, work = APIRouter(route_class=route_class, tags=TAGS), desk.evaluation

    @router.get(
        "/runs/{run}/pictures", response_model=PictureLossesResponse, summary="Get the losses of single pictures"
    )
    def pictures(run: str) -> Response:
        """Of up to `watch.picture_losses` instance pictures of each concept, with fixed noise and timesteps."""
        return json_response(work.picture_losses(run))

    @router.get("/compare/judged", response_model=ComparedRunsResponse, summary="Compare what runs taught")
    def compare() -> Response:
        """The numbers of the save that each run's verdict recommends."""
        return json_response({"runs": work.compare()})

    _add_ratings(router, desk)
    return router


def _add_ratings(router: APIRouter, desk: Desk) -> None:
    work = desk.evaluation

    @router.get("/runs/{run}/ratings", response_model=RatingsResponse, summary="Get the ratings of a run's pictures")
    def ratings(run: str) -> Response:
        """The user's, those that the judge's numbers propose, and what the guide advises for each."""
        return json_response(work.ratings(run))

    @router.post("/runs/{run}/ratings", response_model=GivenRatingsResponse, summary="Rate a picture")
    def rate(run: str, body: RateRequest) -> Response:
        """It is kept in the run's folder, and its report has it. 404 where there is no such picture."""
        rated = Rated(body.set, body.number, body.step, body.rating)
        return json_response({"given": work.rate(run, rated)})

    @router.get("/runs/{run}/words", response_model=WordGridResponse, summary="Get the pictures of the trained words")
    def words(run: str) -> Response:
        """Each word of the captions, drawn with the trigger and without it."""
        return json_response(work.words(run))

    @router.post("/runs/{run}/words", response_model=OkResponse, summary="Draw the trained words")
    def draw_words(run: str, body: DrawWordsRequest) -> Response:
        """It is queued, for a run that has ended. What a stopped request has drawn stays, and isn't drawn again."""
        desk.runs.draw_words(run, body.save)
        return json_response(OK)

    @router.post("/runs/{run}/measure", response_model=OkResponse, summary="Draw and judge more control pictures")
    def measure(run: str, body: MeasureRequest) -> Response:
        """It is queued, for a run that has ended: with the base model, and with each save that has control pictures.
        What a stopped request has drawn stays, and isn't drawn again; numbers change when all is drawn.
        """
        desk.runs.measure(run, body.pictures)
        return json_response(OK)

    @router.get("/runs/{run}/words/{step}/{number}", responses=PICTURE, summary="Get a picture of a trained word")
    def word_picture(run: str, step: int, number: int) -> Response:
        """A PNG."""
        return png(work.word_picture(run, step, number))
