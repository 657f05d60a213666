"""The Connect worker: many connectors in one process, told by REST what to do, sharing their work in a group."""
