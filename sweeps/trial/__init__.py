"""What runs on a worker: a pack of points in training, what is measured of it, and what is reported."""
