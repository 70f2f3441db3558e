"""Taggers describe a picture, in tags with scores or in a sentence. ``base`` is the interface; ``known`` finds them."""
