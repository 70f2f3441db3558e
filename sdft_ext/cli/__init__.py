"""The command line: runs, datasets, captions and tools; heavy packages are imported when they are needed."""
