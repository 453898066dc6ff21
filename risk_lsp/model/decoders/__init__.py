"""What runs a decoder: numpy, torch alone, or transformers."""
