"""Prepare pictures for training: crop, tile, mirror, convert, mask. First a plan, then files; originals are kept."""
