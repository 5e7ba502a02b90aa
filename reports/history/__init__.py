"""A history of runs as people read it: Markdown, a page, and a figure for each metric."""
