"""sdft: fine-tune Stable Diffusion on the model that is already loaded."""

__version__ = "0.1.0"
