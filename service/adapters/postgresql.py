"""Opening a PostgreSQL database: isolation, time limits, and which faults pass."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Final

from sqlalchemy import URL, Connection, ExceptionContext, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from service.adapters.backend import Backend

POOL_SIZE: Final = 16
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connections, transactions that lost to others,
# resources, an operator's intervention, the system; a lock not had in time; a server that stands by.
_PASSING_CLASSES: Final = frozenset({"08", "40", "53", "57", "58"})
_STANDS_BY: Final = "25006"
_PASSING: Final = frozenset({"55P03", "25P03", _STANDS_BY})


def postgresql_backend(url: URL, busy_timeout_seconds: float) -> Backend:
    """The database of `url`; what its query says of a connection stands over what is said here.

    Raises ValueError when there is no driver, or a parameter is not known.
    """
    milliseconds = round(busy_timeout_seconds * 1000)
    usual = {
        "application_name": "symptom-intake",
        "client_encoding": "utf8",
        "connect_timeout": max(2, round(busy_timeout_seconds)),
        # Whoever waits for a row of a transaction that does not end, or for a server that is gone, must be told.
        "options": f"-c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout={6 * milliseconds}",
        "tcp_user_timeout": 2 * milliseconds,
    }
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            # Written rows are told apart by locks and constraints, which need no more.
            isolation_level="READ COMMITTED",
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_timeout=busy_timeout_seconds,
            connect_args={name: value for name, value in usual.items() if name not in url.query},
        )
    except ModuleNotFoundError as fault:
        raise ValueError(
            "PostgreSQL needs a driver that is not installed: pip install 'symptom-intake[postgresql]'"
        ) from fault

    @event.listens_for(engine, "connect")
    def _check(connection: Any, entry: ConnectionPoolEntry) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise ValueError(f"its encoding is {encoding}, which lacks characters; make it with ENCODING 'UTF8'")

    @event.listens_for(engine, "handle_error")
    def _leave(context: ExceptionContext) -> None:
        # Connections to a server that stands by now are of no use: where another took over, new ones find it.
        if getattr(context.original_exception, "sqlstate", None) == _STANDS_BY:
            context.is_disconnect = True

    return Backend(
        reader=engine.execution_options(isolation_level="REPEATABLE READ"),
        writer=engine,
        write_turn=nullcontext,
        passing_reason=_passing_reason,
        exclude=_exclude,
        upgrades_at_start=False,
    )


def _passing_reason(fault: DBAPIError) -> str | None:
    """Says that the server is gone, has no room, or chose another transaction; in none of these it quotes a value."""
    driver: Any = fault.orig
    code = getattr(driver, "sqlstate", None)
    if code is None:
        return "it cannot be reached" if isinstance(fault, OperationalError) else None
    if code[:2] in _PASSING_CLASSES or code in _PASSING:
        return str(driver.diag.message_primary)
    return None


def _exclude(connection: Connection, name: str) -> None:
    """An advisory lock of the transaction."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"symptom-intake {name}", 0))))
