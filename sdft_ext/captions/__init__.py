"""The captions of a folder: filter and edit them with undo, and write them without losing anybody's text.

``store`` holds the captions (``entries``), ``reader`` reads them, ``filters`` finds some of them, ``edits`` and
``planning`` work out what they become, ``journal`` records every edit, ``saver`` and ``files`` write.
"""
