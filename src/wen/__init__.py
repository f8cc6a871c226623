"""A reproducible study of weighted ensembles of networks that tell leukaemic blasts from healthy cells (C-NMC 2019)."""
