"""Training of the default model and of the probe."""
