"""RiskMap: text in, any-span edit probabilities out; the engine and the worker that runs it."""
