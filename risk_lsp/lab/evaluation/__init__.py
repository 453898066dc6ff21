"""Metrics of calibrated edit probabilities, and the reports made of them."""
