"""Tests against real servers: the pytest plugin over `servers`."""
