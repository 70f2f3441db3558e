"""What can be chosen. Imports nothing heavy, as the command line's help is made from it."""

FORMATS = ("txt", "caption", "names", "meta_cap", "meta_lat", "jsonl", "csv")
HOW = ("replace", "append", "prepend", "empty")
SOURCES = ("txt", "caption", "folder", "name", "none")
