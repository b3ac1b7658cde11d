"""Autoencoders: networks, their training, diagnosis and figures. Independent of data sets, sweeps, Ray and MLflow."""
