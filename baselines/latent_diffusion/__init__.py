"""Diffusion of what a frozen encoder's states become: Cosmos, TEncDM, LD4LG, and their base class."""
