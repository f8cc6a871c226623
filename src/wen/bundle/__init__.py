"""Bundles: folders with one classifier and everything needed to apply it without its study."""
