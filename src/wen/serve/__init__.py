"""``wen serve``: a page on this computer that classifies dropped images."""
