"""Lightning data modules and the arrays behind them; knows nothing of models, sweeps, Ray or MLflow."""
