"""A reproducible study of weighted ensembles of EfficientNets on leukaemic blasts (C-NMC 2019)."""
