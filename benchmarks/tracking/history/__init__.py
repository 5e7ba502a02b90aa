"""Every run that was ever recorded under a folder: read, put into series, and asked where something changed."""
