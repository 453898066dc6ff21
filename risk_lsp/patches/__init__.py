"""Problems, the sandbox, and minimal patches: where the labels come from."""
