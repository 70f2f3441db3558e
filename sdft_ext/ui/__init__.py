"""The Fine-tune page: ``page/`` is its own JavaScript, which the API serves; ``standalone.py`` shows it without a
WebUI.
"""
