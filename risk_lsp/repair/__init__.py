"""Self-repair: generate, execute, feedback, repair, guided by where the probe says that the edit will be."""
