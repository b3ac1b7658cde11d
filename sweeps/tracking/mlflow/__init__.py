"""MLflow: delivery of what the journal holds, figures, and looking runs up."""
