"""What a sweep will cost: time, memory, disk and requests, predicted from a few training steps."""
