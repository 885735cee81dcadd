"""Scripts that measure time, memory, communication and compilation. One measurement per file."""
