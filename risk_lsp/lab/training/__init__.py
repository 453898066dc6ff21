"""Training of a code model and of the probe."""
