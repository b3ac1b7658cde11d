"""Where a sweep's files lie: their layout, object stores, atomic writes, and who owns a sweep."""
