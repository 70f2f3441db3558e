"""Judges what a run taught, by the base model's own eyes: how much each save has learned, and whether it bleeds."""
