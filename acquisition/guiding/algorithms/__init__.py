"""Guide laws, one file each: pure functions of state and input, returning state and correction."""
