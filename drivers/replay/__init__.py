"""Files as a camera: ``replay://``."""
