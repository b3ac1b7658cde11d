"""Everything that runs on Ray: the connection to a cluster, Tune, and jobs."""
