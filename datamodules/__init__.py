"""Data sets, their splits, and Lightning data modules. Independent of models, sweeps, Ray and MLflow."""
