"""How fast systems are with random weights, on one machine: records that say nothing of quality."""
