"""Frames to files: bounded queues, nothing lost silently."""
