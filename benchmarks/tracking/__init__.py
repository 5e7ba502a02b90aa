"""Whether a change made it worse: two sides compared, a gate, and the history of all runs."""
