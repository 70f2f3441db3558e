"""Make the text detector of the dataset report: backgrounds, lettering on them, training."""
