"""The report on speed with random weights: bars asked of the machine, and tables."""
