"""One file for each recipe."""
