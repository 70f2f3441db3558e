"""Every setting of a run: the recipe, as a public Python API. Importing it imports nothing heavy."""

from __future__ import annotations

from .concept import Concept, Kind
from .dataset import AlphaUse, CacheWhere, CaptionSource, Crop, DatasetRecipe, LatentSample
from .field import RecipeError
from .method import (
    Activation,
    EmbeddingRecipe,
    FullFile,
    FullRecipe,
    FullWeights,
    HypernetworkInit,
    HypernetworkRecipe,
    Layers,
    LoraRecipe,
    MethodName,
    MethodRecipe,
    Precision,
)
from .method_info import ADAPTERS, FULL, LORA_FAMILY, METHOD_INFO, WORDS, MethodInfo
from .recipe import VERSION, Every, ModelRecipe, Recipe, SaveRecipe, WatchRecipe
from .train import LengthUnit, Loss, OptimizerName, ScheduleName, SnrWeighting, TimestepDistribution, TrainRecipe

__all__ = [
    "ADAPTERS",
    "FULL",
    "LORA_FAMILY",
    "METHOD_INFO",
    "VERSION",
    "WORDS",
    "Activation",
    "AlphaUse",
    "CacheWhere",
    "CaptionSource",
    "Concept",
    "Crop",
    "DatasetRecipe",
    "EmbeddingRecipe",
    "Every",
    "FullFile",
    "FullRecipe",
    "FullWeights",
    "HypernetworkInit",
    "HypernetworkRecipe",
    "Kind",
    "LatentSample",
    "Layers",
    "LengthUnit",
    "LoraRecipe",
    "Loss",
    "MethodInfo",
    "MethodName",
    "MethodRecipe",
    "ModelRecipe",
    "OptimizerName",
    "Precision",
    "Recipe",
    "RecipeError",
    "SaveRecipe",
    "ScheduleName",
    "SnrWeighting",
    "TimestepDistribution",
    "TrainRecipe",
    "WatchRecipe",
]
