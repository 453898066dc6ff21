"""The span probe, its calibration, and the bundle on disk."""
