"""A bundle as people meet it: other sources and conditions, real bugs, well-kept code, changes that do not matter."""
