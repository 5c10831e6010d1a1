"""Guide ports of cameras as mounts."""
