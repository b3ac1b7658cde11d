"""What is measured of a network while it trains, and why it did not learn: symptoms, evidence, findings, advice."""
