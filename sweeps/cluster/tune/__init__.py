"""Ray Tune: the tuner, its searcher, its scheduler, its callback, and what it trains."""
