"""The contract test of plug-in networks: its rules, and a network under test as they see it."""
