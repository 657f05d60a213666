"""Single message transforms: one module each, under the original's class name and options."""
