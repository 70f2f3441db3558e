"""What can be done with finished files: merge, extract, resize, convert, look into."""
