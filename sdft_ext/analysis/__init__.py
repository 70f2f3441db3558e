"""Analysis of a dataset: from pixels and captions to findings."""
