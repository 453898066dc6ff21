"""RiskMap: text in, any-span edit probabilities out; and the reports made of it."""
