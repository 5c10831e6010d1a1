"""Exposure times by law: what a frame says of its exposure, and who acts on it."""
