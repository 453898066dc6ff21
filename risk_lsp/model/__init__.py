"""The code model: safe loading, activations, windows, and the supervised worker process."""
