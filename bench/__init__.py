"""Speed and memory, measured against a bare loop."""
