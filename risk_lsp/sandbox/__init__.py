"""The only place where code that is not ours runs."""
