"""The MySQL protocol as pycdc uses it: URLs, sessions, rows, and what refusals mean. MariaDB speaks it too."""
