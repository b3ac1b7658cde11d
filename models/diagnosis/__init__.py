"""Why a network did not learn: evidence measured while it trains, symptoms, findings, advice."""
