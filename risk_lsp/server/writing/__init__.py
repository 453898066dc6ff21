"""What the hosted model writes in a client's documents."""
