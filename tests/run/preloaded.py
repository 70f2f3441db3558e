"""What a run imports only when it needs it, imported once by the fork server that starts runs (killed.py)."""

import gc

import diffusers.models.unets.unet_2d_condition  # noqa: F401
import jinja2  # noqa: F401
import peft  # noqa: F401
import torch._dynamo  # noqa: F401
import transformers.models.clip.modeling_clip
import transformers.models.clip.tokenization_clip  # noqa: F401
from PIL import Image

import sdft_ext.run.run  # noqa: F401
import tests.run.killed  # noqa: F401

Image.init()
gc.freeze()
