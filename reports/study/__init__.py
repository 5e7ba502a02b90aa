"""How many latents, and how wide: the table and the figure of methods that were run at several sizes."""
