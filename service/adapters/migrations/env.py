"""Alembic's environment: `upgrade` gives the connection, and commits what was done on it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
