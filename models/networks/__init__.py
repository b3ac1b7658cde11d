"""The networks, as plain PyTorch modules, and what they are made of."""
