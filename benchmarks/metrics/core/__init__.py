"""What metrics stand on: their type, names, signatures, cache, and the loading of models."""
