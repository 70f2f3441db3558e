"""Who lends the model and shows the result."""
