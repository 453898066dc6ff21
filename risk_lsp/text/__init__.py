"""Documents as immutable snapshots: lines, positions, spans, structure."""
