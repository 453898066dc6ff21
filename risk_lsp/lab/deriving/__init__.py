"""Small models derived from pretrained ones, and tuned to what the probe has to tell."""
