"""Texts that were made elsewhere: read, held against the test documents, and kept as a cell of a run."""
