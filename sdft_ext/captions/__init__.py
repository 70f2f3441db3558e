"""The captions of a folder: looked at, filtered, edited with undo, and written without losing a word of anybody.

The story: ``store`` holds the captions, ``filters`` finds some of them, ``edits`` says what they become, ``journal`` keeps every
edit, ``files`` writes.
"""
