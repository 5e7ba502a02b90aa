"""What gives scores their scale: trivial baselines, the right answers, draws from a known distribution."""
