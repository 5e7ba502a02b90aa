"""Plots of the language of stories."""
