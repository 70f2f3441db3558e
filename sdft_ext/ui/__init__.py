"""The Fine-tune page: ``page/`` is its JavaScript, which the API serves; ``standalone.py`` needs no WebUI for it."""
