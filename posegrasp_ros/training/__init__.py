"""From a textured mesh to a trained, measured model folder. The only place that imports PyTorch."""
