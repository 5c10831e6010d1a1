"""Starlatch's suite: images, device contracts, guiding, exposure control. It knows no device by name."""
