"""Files: written atomically, JSON, locks, free names, text of any encoding, the hidden folder of a dataset."""
