"""The dataset of a run: from pictures and captions to batches."""
