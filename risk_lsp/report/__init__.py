"""What is said of risks: check, score, diff, and one module a format."""
