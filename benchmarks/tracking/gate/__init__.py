"""A rule that turns the comparison of a run with its baseline into an exit code."""
