"""One file per verb of `python -m cosmos`; heavy packages are imported when a verb runs, not before."""
