"""The daemons: thin shells around libchronicle."""
