"""`make bench`: every figure of the README's performance table, measured in one run."""
