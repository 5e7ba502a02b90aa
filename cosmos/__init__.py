"""Cosmos: latent diffusion for text in a compressed and smooth space.

Implements "Compressed and Smooth Latent Space for Text Diffusion Modeling" (arXiv 2506.21170, NeurIPS 2025).
Public names are loaded on first use, so importing the package costs nothing.
"""

__version__ = "0.1.0"
