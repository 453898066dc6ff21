"""What became of the generated lines that a person accepted, and what that says about their numbers."""
