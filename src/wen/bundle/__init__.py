"""A bundle: a folder with a classifier that has left its study, and all that it needs to answer."""
