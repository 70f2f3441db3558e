"""The recipe's section ``method``: what is trained, and each method's own settings."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Literal

from .field import setting
from .method_info import FULL, IN_PARTS, LORA_FAMILY, METHOD_INFO, WORDS

Layers = Literal["attention", "linear", "all"]


if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = Literal[tuple(METHOD_INFO)]


LORA_PLUS = ("lora", "dora", "pivotal")
"""Methods with up-matrices, which LoRA+ trains at a rate of their own."""


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
"""A hypernetwork's activations, by the WebUI's names."""


HypernetworkInit = Literal["Normal", "XavierUniform", "XavierNormal", "KaimingUniform", "KaimingNormal"]


Precision = Literal["fp32", "bf16", "fp16"]


@dataclass
class LoraRecipe:
    rank: int = setting(
        16,
        label="Rank",
        help="Size of the LoRA. 4–16 for a subject, 16–64 for a style; a higher rank remembers more, and copies more.",
        low=1,
        high=1024,
        folded=False,
        methods=LORA_FAMILY,
    )
    alpha: float = setting(
        16.0,
        label="Alpha",
        help="The LoRA's strength is alpha ÷ rank, in layers with another rank too. It is 1 where alpha equals the "
        "rank or is 0.",
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
        help="Share of the ranks left out at random in training; for LoHa and LoKr, of the rows of the weight change.",
        low=0.0,
        high=0.95,
        methods=LORA_FAMILY,
    )
    rslora: bool = setting(
        False,
        label="Rank-stabilized",
        help="The strength is alpha ÷ √rank (rsLoRA): for high ranks.",
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
        help="Rank of the layers whose diffusers name contains a text, e.g. {mid_block: 4}. 0 leaves them out.",
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
        help="LoKr splits each side of a layer into two factors, one of them near this; 0 splits evenly, for the "
        "smallest file.",
        low=0,
        high=1024,
        methods=("lokr",),
    )
    up_ratio: float = setting(
        1.0,
        label="LoRA+ ratio",
        help="The learning rate of the LoRA's up-matrices is this times the others'. 1 is a plain LoRA; 4–16 is usual "
        "for LoRA+.",
        low=0.01,
        high=1000.0,
        methods=LORA_PLUS,
    )
    norm_cap: float = setting(
        0.0,
        label="Weight-norm cap",
        help="After each step, each layer's change is scaled down to at most this norm, against too strong a LoRA. 1 "
        "is usual; 0 is off.",
        low=0.0,
        high=10000.0,
        methods=LORA_FAMILY,
    )
    continue_from: str = setting(
        "",
        label="Continue from",
        help="A file to start from instead of from zero; its rank is kept.",
        path=True,
        methods=LORA_FAMILY,
    )

    @property
    def size(self) -> str:
        return f"rank {self.rank}, alpha {self.alpha:g}, layers {self.layers}"


@dataclass
class EmbeddingRecipe:
    words: dict[str, str] = setting(
        factory=dict,
        label="Words",
        help="New words and the words that they start from, e.g. {sks: dog}. Empty: each concept's trigger, starting "
        "from its class word. A word that starts from nothing is initialized at random.",
        methods=WORDS,
    )
    vectors: int = setting(
        4,
        label="Vectors",
        help="How many vectors a word has, each taking the place of a token in a prompt. 1–4 for a subject, 4–8 for a "
        "style; more vectors copy more.",
        low=1,
        high=75,
        folded=False,
        methods=WORDS,
    )
    norm_pull: float = setting(
        0.0,
        label="Norm regularization",
        help="After each step, the vectors' lengths move by this share towards those of the base model's own words, so "
        "that the rest of the prompt is obeyed better. 0.01–0.1 pulls gently, 1 fixes the lengths, 0 is off.",
        low=0.0,
        high=1.0,
        methods=WORDS,
    )
    learning_rate: float = setting(
        0.0,
        label="Learning rate of the words",
        help="For pivotal tuning; 0 uses train.learning_rate, which suits the LoRA. 1e-3 is usual.",
        low=0.0,
        high=1e4,
        methods=("pivotal",),
    )
    continue_from: str = setting(
        "",
        label="Continue the word from",
        help="An embedding file to start from instead of from words, for textual inversion with one word.",
        path=True,
        methods=("textual_inversion",),
    )

    @property
    def size(self) -> str:
        return f"{self.vectors} vectors a word"


@dataclass
class HypernetworkRecipe:
    sizes: str = setting(
        "",
        label="Widths",
        help="Attention inputs that get a network, by their width, e.g. 768, 320, 640, 1280. Empty: all of the "
        "model's.",
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
        help="Between the layers. Linear is the most stable; swish, relu and softsign remember more.",
        methods=("hypernetwork",),
    )
    activate_last: bool = setting(
        False,
        label="Activate the last layer",
        help="Apply the activation after the last layer too.",
        methods=("hypernetwork",),
    )
    init: HypernetworkInit = setting(
        "Normal",
        label="Initialization",
        help="Normal starts with almost no effect. Xavier suits sigmoid and tanh, Kaiming suits relu; both start far "
        "from the base model.",
        methods=("hypernetwork",),
    )
    layer_norm: bool = setting(
        False,
        label="Layer norm",
        help="A layer norm after each layer: more stable and slower.",
        methods=("hypernetwork",),
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

    @property
    def size(self) -> str:
        return f"layer structure {self.layer_structure}, activation {self.activation}"


@dataclass
class FullRecipe:
    save_as: FullFile = setting(
        "checkpoint",
        label="Save as",
        help="A whole checkpoint, as large as the base model, or the LoRA nearest to what was learned; for a LoRA, "
        "only the weights that it can hold are trained.",
        folded=False,
        methods=FULL,
    )
    lora_rank: int = setting(
        64,
        label="Rank of the LoRA",
        help="For a run that is saved as a LoRA: a higher rank loses less. 32–128 is usual.",
        low=1,
        high=4096,
        methods=FULL,
    )
    frozen: list[str] = setting(
        factory=list,
        label="Frozen parts",
        help="Parameters whose diffusers name contains one of these texts aren't trained, e.g. [down_blocks, attn2]: "
        "it takes less memory, and the model forgets less.",
        methods=FULL,
    )
    weights: FullWeights = setting(
        "fp32",
        label="Weights in",
        help="bf16, with stochastic rounding, halves the memory for weights and gradients; it needs "
        "train.precision=bf16.",
        methods=FULL,
    )


@dataclass
class MethodRecipe:
    name: MethodName = setting(
        "lora",
        label="Method",
        help="How the concept is stored: as a LoRA or a relative of it (DoRA, LoHa, LoKr), as the vectors of a new "
        "word (textual inversion), as both (pivotal), as a hypernetwork, or as a whole model (DreamBooth, full "
        "fine-tune).",
        folded=False,
    )
    unet: bool = setting(True, label="Train the UNet", help="The part that draws.", methods=IN_PARTS)
    text_encoder: bool = setting(
        True,
        label="Train the text encoder",
        help="The part that reads. Training it helps with a new word, but bleeds sooner.",
        methods=IN_PARTS,
    )
    lora: LoraRecipe = setting(
        factory=LoraRecipe, label="LoRA", help="Low-rank adaptation (Hu et al. 2021) and its family."
    )
    embedding: EmbeddingRecipe = setting(
        factory=EmbeddingRecipe, label="New words", help="Textual inversion (Gal et al. 2022), alone or with a LoRA."
    )
    hypernetwork: HypernetworkRecipe = setting(
        factory=HypernetworkRecipe, label="Hypernetwork", help="Small networks before the attention's keys and values."
    )
    full: FullRecipe = setting(
        factory=FullRecipe, label="Whole model", help="DreamBooth (Ruiz et al. 2022) and full fine-tuning."
    )

    @property
    def files(self) -> str:
        """Return the name of the method whose kind of file the saves are."""
        return "lora" if self.name in FULL and self.full.save_as == "lora" else self.name

    @property
    def sizes(self) -> list[str]:
        """Return what each section that the method uses says of the size of what trains, for the report."""
        sections = [getattr(self, field.name) for field in fields(self) if is_dataclass(getattr(self, field.name))]
        used = [one for one in sections if any(self.name in field.metadata["methods"] for field in fields(one))]
        return [one.size for one in used if hasattr(one, "size")]

    @property
    def trains_text(self) -> bool:
        """Return whether each step changes how captions are encoded: the text encoder or a word in them trains."""
        return (self.name in IN_PARTS and self.text_encoder) or self.name in WORDS
