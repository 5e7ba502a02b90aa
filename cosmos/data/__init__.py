"""What training reads: states and latents cached on disk, and the data sets made of them."""
