"""MLflow: delivery of the journal, figures, and finding runs."""
