"""PostgreSQL 12 to 18, through psycopg."""
