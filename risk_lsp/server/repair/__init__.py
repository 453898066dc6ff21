"""Repairs that a client asks for."""
