"""Every setting of a run, once.

One documented field here is one control on the page, one option of the command line and one line of ``docs/recipe.md``.
A recipe is read and written as YAML whose scalars are read as *text* and typed by their field, so that a trigger of
``0123``, ``on`` or ``${a}`` is what its user typed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import SdftError

VERSION = 1

Kind = Literal["subject", "style"]
LengthUnit = Literal["steps", "epochs", "pictures"]
Every = Literal["steps", "epochs"]
CacheWhere = Literal["none", "memory", "disk"]
AlphaUse = Literal["composite", "mask"]
CaptionSource = Literal["auto", "text", "filename"]
Crop = Literal["center", "random"]
LatentSample = Literal["mean", "random"]
Layers = Literal["attention", "linear", "all"]
MethodName = Literal[
    "lora", "dora", "loha", "lokr", "textual_inversion", "pivotal", "hypernetwork", "dreambooth", "full"
]
LORA_FAMILY = ("lora", "dora", "loha", "lokr", "pivotal")
"""Methods with layers beside the model's own: the settings of ``method.lora`` are theirs."""
WORDS = ("textual_inversion", "pivotal")
"""Methods that train the vectors of new words."""
FULL = ("dreambooth", "full")
"""Methods that train the model's own weights, on a copy."""
ADAPTERS = (*LORA_FAMILY, "hypernetwork", *FULL)
"""Methods whose trained weights stand beside the model's own, so that the base's answer is there to be kept."""
FullFile = Literal["checkpoint", "lora"]
FullWeights = Literal["fp32", "bf16"]
Activation = Literal[
    "linear",
    "relu",
    "leakyrelu",
    "elu",
    "swish",
    "tanh",
    "sigmoid",
    "gelu",
    "silu",
    "mish",
    "selu",
    "softplus",
    "softsign",
]
"""Of a hypernetwork, by the names that the WebUI gives them."""
HypernetworkInit = Literal["Normal", "XavierUniform", "XavierNormal", "KaimingUniform", "KaimingNormal"]
Precision = Literal["fp32", "bf16", "fp16"]
Loss = Literal["l2", "l1", "huber", "pseudo_huber"]
SnrWeighting = Literal["none", "min_snr", "soft_min_snr", "debiased"]
TimestepDistribution = Literal["uniform", "logit_normal", "cubic"]
OptimizerName = Literal[
    "adamw", "adamw8bit", "lion", "prodigy", "dadaptadam", "adafactor", "came", "adamw_schedule_free"
]
ScheduleName = Literal[
    "constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial", "steps"
]


class RecipeError(SdftError, ValueError):
    """A recipe that can't be used; the message names the setting, what is wrong, and what to write instead."""


def setting(
    default: Any = dataclasses.MISSING,
    *,
    label: str,
    help: str,
    low: float | None = None,
    high: float | None = None,
    factory: Any = dataclasses.MISSING,
    folded: bool = True,
    path: bool = False,
    methods: tuple[str, ...] = (),
) -> Any:
    """A recipe field: its default, the words the page shows, and the range a value must lie in (both ends allowed).

    ``folded`` says that a newcomer need not see it: the page puts it under a heading. ``path`` marks a file or folder:
    a relative one in a recipe file starts at that file's folder. ``methods`` are those that use it; empty: all.
    """
    metadata = {
        "label": label, "help": help, "low": low, "high": high, "folded": folded, "path": path, "methods": methods
    }  # fmt: skip
    if factory is not dataclasses.MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Concept:
    """What is taught: its pictures, and the words that call it."""

    name: str = setting(
        "concept", label="Concept", help="A name for you; it goes into reports and file names.", folded=False
    )
    kind: Kind = setting(
        "subject", label="Subject or style", help="A subject needs 5–20 pictures, a style 50–200.", folded=False
    )
    trigger: str = setting(
        "",
        label="Trigger",
        help="A rare word that will call the concept, such as 'sks'. Used by templates as [name].",
        folded=False,
    )
    class_word: str = setting(
        "",
        label="Class word",
        help="What the model already calls such a thing ('dog', 'shape'). Regularization pictures without a "
        "caption get it as their caption.",
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
        1.0, label="Loss weight", help="Weight of this concept's loss against the others'.", low=0.0, high=100.0
    )


@dataclass
class ModelRecipe:
    base: str = setting(
        "",
        label="Base model",
        help="Checkpoint (.safetensors, .ckpt) or diffusers folder to start from. Its family is told from the file.",
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
class DatasetRecipe:
    concepts: list[Concept] = setting(
        factory=lambda: [Concept()], label="Concepts", help="What is taught, each with its own folders.", folded=False
    )
    resolution: int = setting(
        512,
        label="Resolution",
        help="Side of a square picture, in pixels; other shapes get the same area. Use the size the base model "
        "was made with.",
        low=16,
        high=4096,
        folded=False,
    )
    buckets: bool = setting(
        True,
        label="Aspect-ratio buckets",
        help="Train each picture near its own shape instead of cropping all to squares.",
    )
    bucket_step: int = setting(
        64, label="Bucket step", help="Bucket sides are multiples of this many pixels.", low=8, high=512
    )
    bucket_min: int = setting(256, label="Smallest bucket side", help="In pixels.", low=8, high=4096)
    bucket_max: int = setting(1024, label="Largest bucket side", help="In pixels.", low=8, high=8192)
    no_upscale: bool = setting(
        False,
        label="Never enlarge",
        help="Pictures smaller than the resolution keep their size and go into smaller buckets.",
    )
    crop: Crop = setting(
        "center",
        label="Crop",
        help="Where a picture that doesn't fit its bucket is cut: in the middle, or somewhere else each epoch.",
    )
    flip: float = setting(
        0.0,
        label="Mirror",
        help="Share of showings that are mirrored left to right. Not for text or lopsided faces.",
        low=0.0,
        high=1.0,
    )
    alpha: AlphaUse = setting(
        "composite",
        label="Transparency",
        help="Put transparent pictures on the background colour, or use their alpha as the loss mask (white trains).",
    )
    background: str = setting(
        "white", label="Background colour", help="Behind transparent pictures: a colour name or #rrggbb."
    )
    captions: CaptionSource = setting(
        "auto",
        label="Captions from",
        help="Text files (.txt, .caption) beside the pictures, their file names (numbering stripped), or text "
        "where there is one and the name elsewhere.",
    )
    template: str = setting(
        "",
        label="Caption template",
        help="[name] becomes the concept's trigger, [filewords] the caption. Empty: the caption as it is.",
    )
    prefix: str = setting("", label="Prefix", help="Put before every instance caption.")
    suffix: str = setting("", label="Suffix", help="Put after every instance caption.")
    shuffle_tags: bool = setting(
        False, label="Shuffle tags", help="A new order of the comma-separated tags each time a picture is shown."
    )
    keep_tags: int = setting(
        0, label="Keep first tags", help="So many tags at the front are neither shuffled nor dropped.", low=0, high=1000
    )
    tag_dropout: float = setting(0.0, label="Tag dropout", help="Share of tags left out each time.", low=0.0, high=1.0)
    caption_dropout: float = setting(
        0.0,
        label="Caption dropout",
        help="Share of showings of instance pictures with an empty caption.",
        low=0.0,
        high=1.0,
    )
    regularization_caption_dropout: float = setting(
        0.0,
        label="Regularization caption dropout",
        help="Share of showings of regularization pictures with an empty caption: it holds what the model draws "
        "without words in place, which every picture with a CFG scale builds on.",
        low=0.0,
        high=1.0,
    )
    cache: CacheWhere = setting(
        "memory",
        label="Cache",
        help="Keep encoded pictures and captions: not at all, in memory, or on disk for the next run too.",
    )
    cache_folder: str = setting(
        "", label="Cache folder", help="Where the disk cache lies. Empty: 'cache' beside the run folders.", path=True
    )
    latents: LatentSample = setting(
        "mean", label="Latent sampling", help="Use the middle of the VAE's answer, or draw from it anew each time."
    )


@dataclass
class LoraRecipe:
    rank: int = setting(
        16,
        label="Rank",
        help="Size of the LoRA. 4–16 for a subject, 16–64 for a style; more remembers more, and copies more.",
        low=1,
        high=1024,
        folded=False,
        methods=LORA_FAMILY,
    )
    alpha: float = setting(
        16.0,
        label="Alpha",
        help="Strength is alpha ÷ rank, in layers with another rank too. Equal to the rank, or 0, it is 1.",
        low=0.0,
        high=4096.0,
        methods=LORA_FAMILY,
    )
    dropout: float = setting(
        0.0,
        label="Dropout",
        help="Share of the LoRA's inputs left out at random in training.",
        low=0.0,
        high=0.95,
        methods=LORA_FAMILY,
    )
    rank_dropout: float = setting(
        0.0,
        label="Rank dropout",
        help="Share of the ranks left out at random in training; of LoHa and LoKr, of the rows of their change.",
        low=0.0,
        high=0.95,
        methods=LORA_FAMILY,
    )
    rslora: bool = setting(
        False,
        label="Rank-stabilized",
        help="Strength is alpha ÷ √rank (rsLoRA): for high ranks.",
        methods=LORA_FAMILY,
    )
    layers: Layers = setting(
        "all",
        label="Layers",
        help="Attention only, every linear layer, or convolutions too (LoCon).",
        methods=LORA_FAMILY,
    )
    conv_rank: int = setting(
        0,
        label="Convolution rank",
        help="Rank of the 3×3 convolutions; 0 uses the rank above.",
        low=0,
        high=1024,
        methods=LORA_FAMILY,
    )
    conv_alpha: float = setting(
        0.0,
        label="Convolution alpha",
        help="0 keeps the strength above.",
        low=0.0,
        high=4096.0,
        methods=LORA_FAMILY,
    )
    block_ranks: dict[str, int] = setting(
        factory=dict,
        label="Ranks by block",
        help="Rank of layers whose diffusers name contains a text, e.g. {mid_block: 4}. 0 leaves them out.",
        methods=LORA_FAMILY,
    )
    text_rank: int = setting(
        0,
        label="Text encoder rank",
        help="Rank in the text encoder; 0 uses the rank above.",
        low=0,
        high=1024,
        methods=LORA_FAMILY,
    )
    factor: int = setting(
        0,
        label="LoKr factor",
        help="LoKr splits each side of a layer in two factors, one of them near this; 0 splits evenly, for the smallest file.",
        low=0,
        high=1024,
        methods=("lokr",),
    )
    up_ratio: float = setting(
        1.0,
        label="LoRA+ ratio",
        help="The learning rate of the LoRA's up-matrices is this times the others'. 1 is plain, 4–16 is usual for LoRA+.",
        low=0.01,
        high=1000.0,
        methods=("lora", "dora", "pivotal"),
    )
    norm_cap: float = setting(
        0.0,
        label="Weight-norm cap",
        help="Each layer's change is shrunk to this length after each step: against too strong a LoRA. 1 is usual; 0 is off.",
        low=0.0,
        high=10000.0,
        methods=LORA_FAMILY,
    )
    continue_from: str = setting(
        "",
        label="Continue from",
        help="A file to start from instead of zero; its rank is kept.",
        path=True,
        methods=LORA_FAMILY,
    )


@dataclass
class EmbeddingRecipe:
    words: dict[str, str] = setting(
        factory=dict,
        label="Words",
        help="New words and the words that they begin as, e.g. {sks: dog}. Empty: each concept's trigger, begun as its class "
        "word. One that begins as nothing is drawn at random.",
        methods=WORDS,
    )
    vectors: int = setting(
        4,
        label="Vectors",
        help="How many vectors a word has, each taking the place of a token in a prompt. 1–4 for a subject, 4–8 for a style; "
        "more copies more.",
        low=1,
        high=75,
        folded=False,
        methods=WORDS,
    )
    norm_pull: float = setting(
        0.0,
        label="Norm regularization",
        help="After each step the vectors' lengths move by this share towards those of the base's own words: such vectors obey "
        "the rest of the prompt better. 0.01–0.1 pulls, 1 holds them, 0 is off.",
        low=0.0,
        high=1.0,
        methods=WORDS,
    )
    learning_rate: float = setting(
        0.0,
        label="Learning rate of the words",
        help="Of pivotal tuning; 0 uses train.learning_rate, which suits the LoRA. 1e-3 is usual.",
        low=0.0,
        high=1e4,
        methods=("pivotal",),
    )
    continue_from: str = setting(
        "",
        label="Continue the word from",
        help="An embedding to start from instead of words, of textual inversion with one word.",
        path=True,
        methods=("textual_inversion",),
    )


@dataclass
class HypernetworkRecipe:
    sizes: str = setting(
        "",
        label="Widths",
        help="Attention inputs that get a network, by their width, e.g. 768, 320, 640, 1280. Empty: all of the model's.",
        methods=("hypernetwork",),
    )
    layer_structure: str = setting(
        "1, 2, 1",
        label="Layer structure",
        help="Width of each layer as a multiple of the input's; begins and ends with 1. 1, 2, 2, 1 remembers more.",
        folded=False,
        methods=("hypernetwork",),
    )
    activation: Activation = setting(
        "linear",
        label="Activation",
        help="Between the layers. Linear is the steadiest; swish, relu and softsign remember more.",
        methods=("hypernetwork",),
    )
    activate_last: bool = setting(
        False, label="Activate the last layer", help="Activation after the last layer too.", methods=("hypernetwork",)
    )
    init: HypernetworkInit = setting(
        "Normal",
        label="First weights",
        help="Normal begins almost at nothing. Xavier suits sigmoid and tanh, Kaiming suits relu; both begin far from the base.",
        methods=("hypernetwork",),
    )
    layer_norm: bool = setting(
        False, label="Layer norm", help="A layer norm after each layer: steadier and slower.", methods=("hypernetwork",)
    )
    dropout: str = setting(
        "",
        label="Dropout by layer",
        help="As many numbers as the layer structure, beginning and ending with 0, e.g. 0, 0.1, 0. Empty: none.",
        methods=("hypernetwork",),
    )
    continue_from: str = setting(
        "",
        label="Continue the hypernetwork from",
        help="A hypernetwork's .pt file to start from; its widths, layers and activation are kept.",
        path=True,
        methods=("hypernetwork",),
    )


@dataclass
class FullRecipe:
    save_as: FullFile = setting(
        "checkpoint",
        label="Save as",
        help="A whole checkpoint, as large as the base model, or the LoRA that is nearest to what was learned. For a LoRA only "
        "what it can hold is trained.",
        folded=False,
        methods=FULL,
    )
    lora_rank: int = setting(
        64,
        label="Rank of the LoRA",
        help="Of a run that is saved as a LoRA: more loses less. 32–128 is usual.",
        low=1,
        high=4096,
        methods=FULL,
    )
    frozen: list[str] = setting(
        factory=list,
        label="Frozen parts",
        help="Parameters whose diffusers name contains one of these texts don't train, e.g. [down_blocks, attn2]: less memory, "
        "and less that can be forgotten.",
        methods=FULL,
    )
    weights: FullWeights = setting(
        "fp32",
        label="Weights in",
        help="bf16 with stochastic rounding takes half of the memory for weights and gradients; it needs train.precision=bf16.",
        methods=FULL,
    )


@dataclass
class MethodRecipe:
    name: MethodName = setting(
        "lora",
        label="Method",
        help="How the concept is stored: as a LoRA or a relative of it (DoRA, LoHa, LoKr), as the vectors of a new word (textual "
        "inversion), as both (pivotal), as a hypernetwork, or as a whole model (DreamBooth, full fine-tune).",
        folded=False,
    )
    unet: bool = setting(True, label="Train the UNet", help="The part that draws.", methods=(*LORA_FAMILY, *FULL))
    text_encoder: bool = setting(
        True,
        label="Train the text encoder",
        help="The part that reads. Helps a new word, bleeds sooner.",
        methods=(*LORA_FAMILY, *FULL),
    )
    lora: LoraRecipe = setting(
        factory=LoraRecipe, label="LoRA", help="Low-rank adaptation (Hu et al. 2021) and its family."
    )
    embedding: EmbeddingRecipe = setting(
        factory=EmbeddingRecipe, label="New words", help="Textual inversion (Gal et al. 2022), alone or beside a LoRA."
    )
    hypernetwork: HypernetworkRecipe = setting(
        factory=HypernetworkRecipe, label="Hypernetwork", help="Small networks before the attention's keys and values."
    )
    full: FullRecipe = setting(
        factory=FullRecipe, label="Whole model", help="DreamBooth (Ruiz et al. 2022) and full fine-tuning."
    )

    @property
    def files(self) -> str:
        """The method whose kind of files its saves are."""
        return "lora" if self.name in FULL and self.full.save_as == "lora" else self.name

    @property
    def reads_anew(self) -> bool:
        """Whether captions read otherwise after each step: the text encoder or a word in them trains."""
        if self.name == "hypernetwork":
            return False
        return self.text_encoder or self.name in WORDS


@dataclass
class TrainRecipe:
    length: int = setting(
        1000, label="Length", help="How long to train, in the unit below.", low=1, high=10_000_000, folded=False
    )
    length_unit: LengthUnit = setting(
        "steps",
        label="Length in",
        help="Steps of the optimizer, epochs over the dataset, or pictures shown.",
        folded=False,
    )
    batch_size: int = setting(
        1,
        label="Batch size",
        help="Pictures at once. More is steadier and takes more memory.",
        low=1,
        high=4096,
        folded=False,
    )
    accumulation: int = setting(
        1,
        label="Gradient accumulation",
        help="Batches gathered before each step: a bigger batch without more memory.",
        low=1,
        high=4096,
    )
    learning_rate: float = setting(
        1e-4,
        label="Learning rate",
        help="How far each step goes. Too high and the pictures break, too low and nothing is learned.",
        low=0.0,
        high=1e4,
        folded=False,
    )
    text_encoder_learning_rate: float = setting(
        0.0,
        label="Text encoder learning rate",
        help="0 uses the learning rate above; half or less of it is usual.",
        low=0.0,
        high=1e4,
    )
    text_encoder_stop: float = setting(
        1.0,
        label="Stop the text encoder after",
        help="Share of the run after which the text encoder no longer changes.",
        low=0.0,
        high=1.0,
    )
    schedule: ScheduleName = setting("cosine", label="Schedule", help="How the learning rate moves through the run.")
    warmup: int = setting(
        0, label="Warm-up steps", help="Steps over which the learning rate rises from 0.", low=0, high=10_000_000
    )
    cycles: int = setting(1, label="Cycles", help="Restarts of cosine_with_restarts.", low=1, high=1000)
    power: float = setting(1.0, label="Power", help="Of the polynomial schedule.", low=0.01, high=20.0)
    schedule_steps: str = setting(
        "",
        label="Learning rate by steps",
        help="For schedule 'steps', as the WebUI writes it: '5e-4:200, 1e-4' is 5e-4 up to step 200, then 1e-4.",
    )
    optimizer: OptimizerName = setting(
        "adamw", label="Optimizer", help="Prodigy and D-Adapt find their own learning rate: give them 1."
    )
    weight_decay: float = setting(
        0.01, label="Weight decay", help="Pulls the trained weights towards 0.", low=0.0, high=10.0
    )
    optimizer_options: dict[str, str] = setting(
        factory=dict,
        label="Optimizer options",
        help="Further arguments of the optimizer by name, e.g. {betas: '0.9, 0.99'}.",
    )
    clip_norm: float = setting(
        1.0, label="Gradient clipping", help="Longest gradient allowed; 0 doesn't clip.", low=0.0, high=1e6
    )
    ema: float = setting(
        0.0,
        label="EMA",
        help="Save a running mean of the weights with this decay (0.999); 0 saves them as they are.",
        low=0.0,
        high=0.999999,
    )
    loss: Loss = setting(
        "l2", label="Loss", help="How the distance to the right noise is measured. Huber forgives a bad picture."
    )
    huber_delta: float = setting(
        0.1, label="Huber delta", help="Where Huber turns from square to straight.", low=1e-6, high=100.0
    )
    snr_weighting: SnrWeighting = setting(
        "none",
        label="SNR weighting",
        help="Balances easy and hard timesteps: min-SNR (Hang 2023), its soft form, or debiased (Yu 2023).",
    )
    snr_gamma: float = setting(5.0, label="SNR gamma", help="The γ of min-SNR.", low=0.01, high=100.0)
    prior_loss_weight: float = setting(
        1.0,
        label="Regularization weight",
        help="Weight of the regularization pictures' loss (DreamBooth's λ). 0 leaves them out: textual inversion learns nothing from "
        "pictures without its word.",
        low=0.0,
        high=100.0,
    )
    class_preservation: float = setting(
        0.0,
        label="Keep the class",
        help="Holds the base's own answer to each caption with the class word in the trigger's place: an alternative to "
        "regularization pictures. 1 is usual, 0 is off; a step takes twice as long.",
        low=0.0,
        high=100.0,
        methods=ADAPTERS,
    )
    blank_preservation: float = setting(
        0.0,
        label="Keep the empty prompt",
        help="Holds the base's own answer to no words at all, which every picture with a CFG scale builds on. 1 is usual, 0 is "
        "off; a step takes twice as long.",
        low=0.0,
        high=100.0,
        methods=ADAPTERS,
    )
    noise_offset: float = setting(
        0.0,
        label="Noise offset",
        help="Adds a constant to each channel's noise, for very dark and bright pictures. 0.03–0.1.",
        low=0.0,
        high=1.0,
    )
    multires_iterations: int = setting(
        0,
        label="Multi-resolution noise",
        help="How many coarser noises are added; 6–10 is usual, 0 is off.",
        low=0,
        high=16,
    )
    multires_discount: float = setting(
        0.3,
        label="Multi-resolution discount",
        help="Strength of each coarser noise against the one before.",
        low=0.0,
        high=1.0,
    )
    input_perturbation: float = setting(
        0.0,
        label="Input perturbation",
        help="Extra noise on the input only (Ning 2023). 0.1 is usual, 0 is off.",
        low=0.0,
        high=1.0,
    )
    timestep_min: int = setting(0, label="First timestep", help="0 is the least noise.", low=0, high=999)
    timestep_max: int = setting(999, label="Last timestep", help="999 is the most noise.", low=0, high=999)
    timestep_distribution: TimestepDistribution = setting(
        "uniform",
        label="Timestep distribution",
        help="Which timesteps are drawn more often: none, the middle ones, or the noisy ones.",
    )
    logit_mean: float = setting(
        0.0, label="Logit-normal mean", help="Above 0 prefers noisy timesteps.", low=-10.0, high=10.0
    )
    logit_std: float = setting(
        1.0, label="Logit-normal spread", help="Wider is nearer to uniform.", low=0.01, high=10.0
    )
    zero_terminal_snr: bool = setting(
        False,
        label="Zero-terminal SNR",
        help="The last timestep is pure noise (Lin 2023). Models marked so do it anyway; for v-prediction models.",
    )
    masked_loss: bool = setting(
        False, label="Masked loss", help="Learn only where the mask (NAME-mask.png, or alpha) is white."
    )
    unmasked_weight: float = setting(
        0.0,
        label="Weight outside the mask",
        help="0 ignores what the mask hides, 1 ignores the mask.",
        low=0.0,
        high=1.0,
    )
    precision: Precision = setting(
        "fp32",
        label="Precision",
        help="Of the computation: fp16 and bf16 are faster and take less memory, that of the loaded model the least.",
    )
    checkpointing: bool = setting(False, label="Gradient checkpointing", help="Much less memory, a third slower.")
    sdpa: bool = setting(True, label="SDPA attention", help="Torch's fused attention. Off: the plain computation.")
    channels_last: bool = setting(False, label="Channels last", help="Memory layout that some cards are faster with.")
    compile: bool = setting(
        False, label="Compile", help="Let torch compile the UNet: minutes at the start, faster steps after."
    )
    deterministic: bool = setting(False, label="Deterministic", help="Bit-equal repeats on CUDA too, somewhat slower.")
    seed: int = setting(1, label="Seed", help="All randomness of the run comes from it.", low=0, high=2**63 - 1)


@dataclass
class SaveRecipe:
    output: str = setting("runs", label="Output folder", help="Where run folders are made.", path=True)
    name: str = setting("my-concept", label="Name", help="Name of the run and of its files.", folded=False)
    every: int = setting(
        0, label="Save every", help="In the unit below; 0 saves at the end only.", low=0, high=10_000_000, folded=False
    )
    every_unit: Every = setting("epochs", label="Save unit", help="Steps or epochs.", folded=False)
    first_epoch: int = setting(1, label="First save in epoch", help="No save before this epoch.", low=1, high=1_000_000)
    keep_last: int = setting(
        0, label="Keep last", help="Delete older saves of this run; 0 keeps all.", low=0, high=10_000
    )
    precision: Precision = setting("fp16", label="Save as", help="Number format of the saved file.")
    state_every: int = setting(
        0,
        label="State every",
        help="Steps between states a killed run can go on from; 0 writes them at saves.",
        low=0,
        high=10_000_000,
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
    seed: int = setting(
        1000,
        label="Control seed",
        help="Seed of the first control picture; the others count on from it.",
        low=0,
        high=2**63 - 1,
    )
    sampler_steps: int = setting(20, label="Sampler steps", help="Of control pictures.", low=1, high=1000)
    guidance: float = setting(7.0, label="Guidance", help="CFG scale of control pictures.", low=0.0, high=100.0)
    negative: str = setting("", label="Negative prompt", help="Of control pictures.")
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
        help="Noises and timesteps per validation picture, the same each time.",
        low=1,
        high=1000,
    )
    log_every: int = setting(1, label="Log every", help="Steps between lines of the log.", low=1, high=100000)
    smoothing: float = setting(
        0.98, label="Loss smoothing", help="Share of the old value in the smoothed loss.", low=0.0, high=0.9999
    )
    tensorboard: bool = setting(True, label="TensorBoard", help="Write event files too.")


@dataclass
class Recipe:
    """Every setting of one run."""

    version: int = setting(VERSION, label="Version", help="Of this file's layout; older ones are migrated.")
    model: ModelRecipe = setting(factory=ModelRecipe, label="Model", help="What is trained on.")
    dataset: DatasetRecipe = setting(factory=DatasetRecipe, label="Dataset", help="Pictures and captions.")
    method: MethodRecipe = setting(factory=MethodRecipe, label="Method", help="What is trained.")
    train: TrainRecipe = setting(factory=TrainRecipe, label="Training", help="How it is trained.")
    save: SaveRecipe = setting(factory=SaveRecipe, label="Saves", help="What is kept.")
    watch: WatchRecipe = setting(factory=WatchRecipe, label="Watching", help="What is looked at meanwhile.")
