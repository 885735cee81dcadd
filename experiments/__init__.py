"""Scripts that train and compare encoders."""
