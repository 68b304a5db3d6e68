"""The test kit that ships with Salus: a clock that tests move, and what simulates people, networks and bad days."""
