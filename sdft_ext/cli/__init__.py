"""The command line: runs, datasets, captions, tools; what is heavy is imported when it is needed."""
