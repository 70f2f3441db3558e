"""File formats that are shared with other programs, and their layouts."""
