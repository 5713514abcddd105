"""Where things come from: folders, the embedded model, vectors and contrast sets by name."""
