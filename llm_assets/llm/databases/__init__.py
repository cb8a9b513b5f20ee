"""Where the state can live: a SQLite file of one machine, or a database server of many."""
