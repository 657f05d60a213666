"""Key, value and header converters: one module each, under the original's class name and options."""
