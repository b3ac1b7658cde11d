"""Autoencoders as Lightning modules, and what is measured and drawn of them; knows nothing of sweeps, Ray or MLflow."""
