"""The harness: plans cells, trains or loads systems, times what they generate, scores exactly those texts."""
