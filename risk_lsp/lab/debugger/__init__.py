"""A model learns to repair its own programs: data, supervised training, reinforcement, and what that is worth."""
