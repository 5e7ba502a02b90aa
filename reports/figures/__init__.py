"""Figures of a run, made of its records: each as SVG, PDF and PNG, the same bytes for the same records."""

from reports.figures.picture import Picture as Picture
