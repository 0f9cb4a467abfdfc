"""A database that has kept many responses: copies of a real one in SQL, so that a million take minutes, not hours.

Of each response there are all rows that accepts and deliveries look at: the response, its triage result and what they
are found by, the receipt, the idempotency key, and the delivered letter. The other resources of the record, and the
texts of all of them, are left out: nobody reads them meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, String, Table, cast, func, insert, literal, literal_column, select
from sqlalchemy.sql.selectable import CTE

from service.adapters import schema
from service.adapters.database import open_database
from service.records.outbox import State

_PATIENTS: Final = 100_000
_OF_ITS_OWN: Final[Mapping[Table, tuple[str, ...]]] = {
    schema.resource: ("id", "response_id"),
    schema.receipt: ("response_id",),
    schema.response_key: ("value", "response_id"),
    schema.letter: ("response_id",),
}
"""The columns in which each copy has a number after the text."""
_NO_TEXT: Final = literal_column("'{}'")

Values = Mapping[str, ColumnElement[Any]]


def keep(database_url: str, responses: int) -> None:
    """Keep so many copies of the one response that the database holds, all delivered, of many patients."""
    database = open_database(database_url)
    with database._write() as connection:
        numbers = _numbers(responses)
        _copy_resources(connection, numbers)
        for table in (schema.receipt, schema.response_key, schema.letter):
            (row,) = connection.execute(select(table)).mappings().all()
            _copy(connection, table, row, numbers, {"triage": _NO_TEXT, "state": literal(State.DELIVERED.value)})
    # The planner learns what there is, as it does after a while by itself.
    with database._write() as connection:
        connection.exec_driver_sql("ANALYZE")
    database.close()


def _numbers(count: int) -> CTE:
    first = select(literal(1).label("number")).cte("numbers", recursive=True)
    return first.union_all(select(first.c.number + 1).where(first.c.number < count))


def _copy_resources(connection: Connection, numbers: CTE) -> None:
    """The response and its triage result, the last Observation of all."""
    table = schema.resource
    last = select(func.max(table.c.seq)).where(table.c.type == "Observation").scalar_subquery()
    wanted = (table.c.type == "QuestionnaireResponse") | (table.c.seq == last)
    rows = connection.execute(select(table).where(wanted)).mappings().all()
    beyond = connection.execute(select(func.max(table.c.seq))).scalar_one()
    for place, row in enumerate(rows, start=1):
        seq = beyond + (numbers.c.number - 1) * len(rows) + place
        patient = literal(f"{row['patient']}-") + cast(numbers.c.number % _PATIENTS, String)
        _copy(connection, table, row, numbers, {"seq": seq, "patient": patient, "body": _NO_TEXT})
        for found_by in (schema.term, schema.span):
            for one in connection.execute(select(found_by).where(found_by.c.seq == row["seq"])).mappings().all():
                _copy(connection, found_by, one, numbers, {"seq": seq})
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('resource', 'seq'), max(seq)) FROM resource")


def _copy(connection: Connection, table: Table, row: Mapping[Any, Any], numbers: CTE, changed: Values) -> None:
    """One copy of `row` for each number, with the values in `changed`."""
    names = [column.name for column in table.columns if column.name != "id" or table is not schema.letter]
    own = {name: literal(f"{row[name]}-") + cast(numbers.c.number, String) for name in _OF_ITS_OWN.get(table, ())}
    same = {name: literal(row[name], table.c[name].type) for name in names}
    values = {**same, **own, **changed}
    copies = select(*[values[name].label(name) for name in names]).select_from(numbers)
    connection.execute(insert(table).from_select(names, copies))
