"""What a run leaves on disk: its schema, its store, its files and the environment they note."""
