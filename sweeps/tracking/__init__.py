"""What a sweep leaves behind: the journal on the driver's disk, and the MLflow runs that are delivered from it."""
