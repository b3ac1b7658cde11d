"""How networks are trained: the Lightning module, packs, objectives, penalties and layer-wise pretraining."""
