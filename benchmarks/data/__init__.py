"""Sources: where the texts of a task come from."""
