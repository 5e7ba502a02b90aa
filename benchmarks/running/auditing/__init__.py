"""An audit of a run: its cells, and what is checked of each."""
