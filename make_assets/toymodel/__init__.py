"""The steps of ``make_assets/make_toy_model.py``."""
