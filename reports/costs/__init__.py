"""What generating takes besides time."""
