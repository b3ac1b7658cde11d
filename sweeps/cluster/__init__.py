"""The Ray cluster a sweep runs on."""
