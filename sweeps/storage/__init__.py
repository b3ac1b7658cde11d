"""Where a sweep's files lie: layout, object stores, atomic writes, and the lock and lease of a sweep."""
