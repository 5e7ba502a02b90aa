"""Whether timings are what they seem: checks of records, and of texts that are made again."""
