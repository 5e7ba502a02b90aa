"""The training loop: configuration, steps, batches, prices, resume points, processes."""
