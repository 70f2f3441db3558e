"""The diffusion model: modules over a host's or a file's tensors, text, VAE, sampling."""
