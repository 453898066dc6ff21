"""The laboratory: what makes the weights that the product ships, and measures them."""
