"""Pictures made ready for training: cut, tiled, mirrored, converted, with masks. First a plan, then files; originals
stay.
"""
