"""The words every room speaks: schema, record, template, table, LSN, ledger. No sockets, no clock."""
