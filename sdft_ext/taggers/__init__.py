"""Taggers: what a picture shows, as tags with scores or as a sentence. ``base`` is the interface; ``known`` finds
them.
"""
