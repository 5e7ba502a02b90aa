"""Training curves, scores and timings for those who look at them in a tracker; nothing lives only there."""
