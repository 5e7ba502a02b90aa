"""Clauses of the language of detoxification, by what they are about."""
