"""A simulated sky, telescope and camera, registered through entry points like any other driver."""
