"""Who has the cells of a run made: this process (`benchmarks.running.runner`), or the workers of a Ray cluster."""
