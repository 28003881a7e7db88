"""The CUDA target: the same kernels as text for NVIDIA's GPUs, and what runs them."""
