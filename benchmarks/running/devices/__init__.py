"""One training or one generation on several devices."""
