"""How many texts at once fit, which number is fastest, and that all of them are warm before anything is timed."""
