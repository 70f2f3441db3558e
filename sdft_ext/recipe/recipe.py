"""Every setting of a run, once.

One documented field here is one control on the page, one option of the command line and one line of ``docs/recipe.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .dataset import DatasetRecipe
from .field import setting
from .method import MethodRecipe, Precision
from .train import TrainRecipe

VERSION = 1
"""Version of the recipe's layout."""


Every = Literal["steps", "epochs", "times"]


@dataclass
class ModelRecipe:
    base: str = setting(
        "",
        label="Base model",
        help="Checkpoint (.safetensors, .ckpt) or diffusers folder to start from. Its family is recognized from the "
        "file.",
        folded=False,
        path=True,
    )
    vae: str = setting("", label="VAE", help="Another VAE file to use instead of the base model's own.", path=True)
    clip_skip: int = setting(
        1,
        label="Clip skip",
        help="1 uses the text encoder's last layer, 2 the one before. Use what the base model was made with.",
        low=1,
        high=12,
    )


@dataclass
class SaveRecipe:
    output: str = setting("runs", label="Output folder", help="Where run folders are made.", path=True)
    name: str = setting("my-concept", label="Name", help="Name of the run and of its files.", folded=False)
    every: int = setting(
        5,
        label="Save every",
        help="In the unit that follows; with “times”, that many saves in all, evenly spread. 0 saves at the end only.",
        low=0,
        high=10_000_000,
        folded=False,
    )
    every_unit: Every = setting("times", label="Save unit", help="Steps, epochs, or times in the run.", folded=False)
    first_epoch: int = setting(1, label="First save in epoch", help="No save before this epoch.", low=1, high=1_000_000)
    keep_last: int = setting(
        0,
        label="Keep last",
        help="Delete older saves of this run; 0 keeps all. Saves on request are counted apart.",
        low=0,
        high=10_000,
    )
    keep_best: bool = setting(
        True,
        label="Keep the best",
        help="Where older saves are deleted, the best one by its control pictures stays, however old it is; "
        "where they can't be judged, the one nearest to the minimum of the loss.",
    )
    precision: Precision = setting("fp16", label="Save as", help="Number format of the saved file.")
    state_every: int = setting(
        0,
        label="State every",
        help="Steps between states from which a killed run can resume; 0 writes one with each save.",
        low=0,
        high=10_000_000,
    )
    state_share: float = setting(
        2.0,
        label="Time for states",
        help="Percent of the training time that may go into further states, so that a crash or power cut costs at "
        "most a few minutes of training; 0 writes none but those above.",
        low=0,
        high=50,
    )
    private: bool = setting(
        False, label="Leave out private metadata", help="No folder names, captions or tags in the saved file."
    )


@dataclass
class WatchRecipe:
    every: int = setting(
        0,
        label="Control pictures every",
        help="Steps between control pictures; 0 draws them at the start and at saves.",
        low=0,
        high=10_000_000,
    )
    concept_prompts: list[str] = setting(
        factory=list,
        label="Concept prompts",
        help="With the trigger: these pictures should approach the concept.",
        folded=False,
    )
    bleeding_prompts: list[str] = setting(
        factory=list,
        label="Bleeding prompts",
        help="Without the trigger: these must stay as they are, or the concept bleeds.",
        folded=False,
    )
    propose_prompts: bool = setting(
        True,
        label="Propose prompts",
        help="Where a list of prompts is empty, the run proposes some: captions of the pictures and new ones made of "
        "their words, with the trigger, and the same without it.",
    )
    pictures: int = setting(
        8,
        label="Pictures of each set",
        help="At least so many control pictures with the trigger, and as many without it: each prompt is drawn with "
        "several seeds. One picture can be luck; eight show a trend.",
        low=1,
        high=1000,
    )
    judge: bool = setting(
        True,
        label="Judge the control pictures",
        help="Measure with the base model's own features how many of them show the concept, with the trigger and "
        "without it. It takes about a fifth of the time that drawing them takes.",
    )
    stop_early: bool = setting(
        False,
        label="Stop when saves get worse",
        help="End the run when its last two saves are worse than the best one, by more than chance could do. The run "
        "can be resumed.",
    )
    seed: int = setting(
        1000,
        label="Control seed",
        help="Seed of the first control picture; each further one adds 1.",
        low=0,
        high=2**63 - 1,
    )
    sampler_steps: int = setting(20, label="Sampler steps", help="For control pictures.", low=1, high=1000)
    guidance: float = setting(7.0, label="Guidance", help="CFG scale of control pictures.", low=0.0, high=100.0)
    negative: str = setting("", label="Negative prompt", help="For control pictures.")
    size: int = setting(
        0, label="Control picture size", help="Side in pixels; 0 is the dataset's resolution.", low=0, high=4096
    )
    validation_every: int = setting(
        0, label="Validation every", help="Steps between validation losses; 0 is off.", low=0, high=10_000_000
    )
    validation_share: float = setting(
        0.0,
        label="Held-out share",
        help="Share of the instance pictures kept out of training for the validation loss.",
        low=0.0,
        high=0.5,
    )
    validation_draws: int = setting(
        4,
        label="Validation draws",
        help="Draws of noise and timestep for each validation picture, the same every time; of each instance picture "
        "whose own loss is measured, at most as many.",
        low=1,
        high=1000,
    )
    picture_losses: int = setting(
        64,
        label="Losses of single pictures",
        help="Measure the loss of up to so many instance pictures of each concept, at the start and at saves: it shows "
        "which are hard, memorized or mislabelled. It takes at most 2 % of the run; a run too short for that measures "
        "none. 0 is off.",
        low=0,
        high=100_000,
    )
    log_every: int = setting(1, label="Log every", help="Steps between lines of the log.", low=1, high=100000)
    smoothing: float = setting(
        0.98, label="Loss smoothing", help="Share of the previous value in the smoothed loss.", low=0.0, high=0.9999
    )
    tensorboard: bool = setting(True, label="TensorBoard", help="Write event files too.")


@dataclass
class Recipe:
    """Every setting of one run."""

    version: int = setting(VERSION, label="Version", help="Version of this file's layout; older ones are migrated.")
    model: ModelRecipe = setting(factory=ModelRecipe, label="Model", help="The model that is trained.")
    dataset: DatasetRecipe = setting(factory=DatasetRecipe, label="Dataset", help="Pictures and captions.")
    method: MethodRecipe = setting(factory=MethodRecipe, label="Method", help="What is trained.")
    train: TrainRecipe = setting(factory=TrainRecipe, label="Training", help="How it is trained.")
    save: SaveRecipe = setting(factory=SaveRecipe, label="Saves", help="What is saved, how often, and where.")
    watch: WatchRecipe = setting(
        factory=WatchRecipe, label="Watching", help="How the run is watched: control pictures, validation, log."
    )
