"""Autoregressive transformers: the network, how it is served, and how tokens are chosen."""
