"""How code runs: compiled blocks, CUDA graphs, counter-based random numbers, counts of FLOPs and calls."""
