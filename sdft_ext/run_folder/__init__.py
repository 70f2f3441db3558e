"""A run's folder: one file here for each file or folder that a run keeps there."""
