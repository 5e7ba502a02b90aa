"""Every contestant behind one contract: see `baselines.contract` and `baselines.registry`."""
