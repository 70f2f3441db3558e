"""What can be chosen; imported by the command line's help, so nothing heavy here."""

FORMATS = ("txt", "caption", "names", "meta_cap", "meta_lat", "jsonl", "csv")
HOW = ("replace", "append", "prepend", "empty")
SOURCES = ("txt", "caption", "folder", "name", "none")
