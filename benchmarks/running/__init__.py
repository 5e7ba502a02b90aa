"""Doing what a plan says: fitting, generating, scoring, and the state of every cell."""
