"""The floor of an accept: a bare Flask endpoint on the same server that inserts its body as one row, durably.

    python -m tests.benchmarks.bare DATABASE_URL

It opens the database as the service does, and says where it listens.
"""

from __future__ import annotations

import logging
import signal
import sys

from flask import Flask, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert

from service.adapters.database import open_database
from service.cli.listener import Listener

row = Table("bare", MetaData(), Column("id", Integer, primary_key=True), Column("body", Text, nullable=False))


def bare_app(database_url: str) -> Flask:
    """The endpoint, at /."""
    database = open_database(database_url)
    with database._write() as connection:
        row.create(connection)
    app = Flask(__name__)

    @app.post("/")
    def keep() -> ResponseReturnValue:
        with database._write() as connection:
            connection.execute(insert(row).values(body=request.get_data(as_text=True)))
        return "", 201

    return app


if __name__ == "__main__":
    # More clients than threads is what is measured, and no news.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    listener = Listener(bare_app(sys.argv[1]), "127.0.0.1", 0)
    print(listener.address, flush=True)
    with listener.running():
        signal.pause()
