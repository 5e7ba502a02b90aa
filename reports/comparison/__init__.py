"""A comparison of two sides as people read it: for the terminal, as Markdown, LaTeX and HTML."""
