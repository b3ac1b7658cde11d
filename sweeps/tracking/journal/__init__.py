"""The journal: the durable queue between a sweep and MLflow."""
