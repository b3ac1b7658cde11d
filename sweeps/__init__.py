"""Hyperparameter sweeps for autoencoders on a Ray cluster, recorded in MLflow."""
