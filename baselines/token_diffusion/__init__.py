"""Diffusion over tokens, masked and uniform: MDLM, SEDD, Duo, their samplers, and their base class."""
