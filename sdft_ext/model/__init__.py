"""The diffusion model: families, aliasing, text, single files."""
