"""Pixels and captions → findings."""
