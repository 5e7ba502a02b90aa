"""What families of systems share: the base class, checkpoints, token rows, the transformer, sampling."""
