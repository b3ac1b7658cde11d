"""What a sweep records: the journal on the driver's disk, and the MLflow runs delivered from it."""
