"""What a change means as Debezium events: types, envelope, names, keys. No sockets, no clock."""
