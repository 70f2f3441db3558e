"""The recipe's section ``train``: how it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .field import setting
from .method import Precision
from .method_info import ADAPTERS

Loss = Literal["l2", "l1", "huber", "pseudo_huber"]


SnrWeighting = Literal["none", "min_snr", "soft_min_snr", "debiased"]


TimestepDistribution = Literal["uniform", "logit_normal", "cubic"]


OptimizerName = Literal[
    "adamw", "adamw8bit", "lion", "prodigy", "dadaptadam", "adafactor", "came", "adamw_schedule_free"
]


ScheduleName = Literal[
    "constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial", "steps"
]


LengthUnit = Literal["steps", "epochs", "pictures"]


@dataclass
class TrainRecipe:
    length: int = setting(
        1000, label="Length", help="How long to train, in the unit that follows.", low=1, high=10_000_000, folded=False
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
        help="Pictures trained at once. A larger batch is steadier and takes more memory.",
        low=1,
        high=4096,
        folded=False,
    )
    accumulation: int = setting(
        1,
        label="Gradient accumulation",
        help="Batches whose gradients are added up for one step: a larger batch without more memory.",
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
    power: float = setting(1.0, label="Power", help="Exponent of the polynomial schedule.", low=0.01, high=20.0)
    schedule_steps: str = setting(
        "",
        label="Learning rate by steps",
        help="For schedule 'steps', as the WebUI writes it: '5e-4:200, 1e-4' is 5e-4 up to step 200, then 1e-4.",
    )
    optimizer: OptimizerName = setting(
        "adamw", label="Optimizer", help="Prodigy and D-Adapt find their own learning rate: set it to 1 for them."
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
        1.0, label="Gradient clipping", help="Largest norm of the gradient; 0 doesn't clip.", low=0.0, high=1e6
    )
    ema: float = setting(
        0.0,
        label="EMA",
        help="Save a running mean of the weights with this decay (0.999); 0 saves them as they are.",
        low=0.0,
        high=0.999999,
    )
    loss: Loss = setting(
        "l2",
        label="Loss",
        help="How the distance from the right noise is measured. With Huber, a bad picture does less harm.",
    )
    huber_delta: float = setting(
        0.1, label="Huber delta", help="Error above which Huber is linear, not quadratic.", low=1e-6, high=100.0
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
        help="Weight of the regularization pictures' loss (DreamBooth's λ). 0 leaves them out: textual inversion "
        "learns nothing from pictures without its word.",
        low=0.0,
        high=100.0,
    )
    class_preservation: float = setting(
        0.0,
        label="Keep the class",
        help="Preserves the base model's own answer to each caption with the class word in the trigger's place: an "
        "alternative to regularization pictures. 1 is usual, 0 is off; a step takes twice as long.",
        low=0.0,
        high=100.0,
        methods=ADAPTERS,
    )
    blank_preservation: float = setting(
        0.0,
        label="Keep the empty prompt",
        help="Preserves the base model's own answer to an empty prompt, which every picture with a CFG scale builds "
        "on. 1 is usual, 0 is off; a step takes twice as long.",
        low=0.0,
        high=100.0,
        methods=ADAPTERS,
    )
    noise_offset: float = setting(
        0.0,
        label="Noise offset",
        help="Adds a random constant to each channel's noise, for very dark and bright pictures. 0.03–0.1 is usual, 0 "
        "is off.",
        low=0.0,
        high=1.0,
    )
    multires_iterations: int = setting(
        0,
        label="Multi-resolution noise",
        help="How many layers of coarser noise are added; 6–10 is usual, 0 is off.",
        low=0,
        high=16,
    )
    multires_discount: float = setting(
        0.3,
        label="Multi-resolution discount",
        help="Strength of each coarser layer of noise relative to the one before.",
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
        help="Make the last timestep pure noise (Lin 2023), for v-prediction models. Models marked so need no setting.",
    )
    masked_loss: bool = setting(
        False, label="Masked loss", help="Train only where the mask (NAME-mask.png, or alpha) is white."
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
        help="Number format of the computation: fp16 and bf16 are faster and take less memory, the one of the loaded "
        "model the least.",
    )
    checkpointing: bool = setting(
        False, label="Gradient checkpointing", help="Takes much less memory and is a third slower."
    )
    sdpa: bool = setting(True, label="SDPA attention", help="Torch's fused attention. Off: the plain computation.")
    channels_last: bool = setting(False, label="Channels last", help="A memory layout with which some GPUs are faster.")
    compile: bool = setting(
        False,
        label="Compile",
        help="Compile the UNet with torch: it takes minutes at the start, then steps are faster.",
    )
    deterministic: bool = setting(
        False, label="Deterministic", help="Bit-identical results on CUDA too, somewhat slower."
    )
    seed: int = setting(1, label="Seed", help="All randomness of the run comes from it.", low=0, high=2**63 - 1)
