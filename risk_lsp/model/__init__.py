"""The code model: where it comes from, safe loading, activations, windows, generation."""
