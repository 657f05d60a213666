"""Sinks: what records mean for a target's tables, and the writers of each target behind one shape."""
