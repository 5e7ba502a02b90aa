"""One protocol by which the recipes of all systems are chosen: equal trials, judged on documents of no run."""
