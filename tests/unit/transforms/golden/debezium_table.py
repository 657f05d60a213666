"""Cases for Debezium's transforms."""

CASES = []
