"""The networks: autoencoder, denoiser, their blocks, and what prepares their inputs."""
