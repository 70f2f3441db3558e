"""The steps of ``tools/make_toy_model.py``."""
