"""The ground floor: files that appear whole, locks, free names, text of any encoding."""
