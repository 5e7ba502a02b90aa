"""Diffusion of word embeddings: DiffuSeq, its objective, minimum Bayes risk."""
