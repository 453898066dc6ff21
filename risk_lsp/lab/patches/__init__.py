"""Problems, programs that models wrote for them, and minimal patches: where the labels come from."""
