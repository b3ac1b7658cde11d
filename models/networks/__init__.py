"""The networks, as plain PyTorch modules: one module per family, and what they are made of."""
