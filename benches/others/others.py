"""The questions of `beside_others`, asked of DuckDB and of ClickHouse (chdb), each from a table of its own.

    others.py EVENTS.arrow LAYER FROM TO RUNS

EVENTS.arrow is an Arrow IPC file with the columns layer, cell, time and value. One JSON object is printed: by system, its
version and, by question, the times of RUNS runs in milliseconds and the rows of the answer (of long answers their number and
their sum).
"""

import json
import sys
import tempfile
import time

import chdb
import duckdb
import pyarrow
import pyarrow.ipc
from chdb.session import Session


def timed(runs, ask):
    """The answer, and how long each of `runs` more askings took."""
    answer = ask()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1000)
    return times, answer


def of_duckdb(table, layer, begin, end, runs):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("arrived", table)
    # One row group after the other in the order of time, as a log has them; the layer as an enumeration, its best type.
    connection.execute("CREATE TYPE layers AS ENUM (SELECT DISTINCT layer::VARCHAR FROM arrived ORDER BY 1)")
    connection.execute("CREATE TABLE events AS SELECT layer::VARCHAR::layers AS layer, cell, time, value FROM arrived")
    connection.unregister("arrived")
    top = f"""SELECT cell, count(*) AS events FROM events
              WHERE layer = '{layer}' AND time >= TIMESTAMPTZ '{begin}' AND time < TIMESTAMPTZ '{end}'
              GROUP BY cell ORDER BY events DESC, cell LIMIT 100"""
    scan = "SELECT cell, count(*) AS events FROM events GROUP BY cell"
    top_times, top_rows = timed(runs, lambda: connection.execute(top).fetchall())
    scan_times, scan_rows = timed(runs, lambda: connection.sql(scan).to_arrow_table())
    return {
        "version": duckdb.__version__,
        "top": {"times": top_times, "rows": [list(row) for row in top_rows]},
        "scan": {
            "times": scan_times,
            "number": scan_rows.num_rows,
            "sum": sum(scan_rows["events"].to_pylist()),
        },
    }


def of_clickhouse(table, layer, begin, end, runs):
    session = Session(tempfile.mkdtemp(prefix="riskgrid-bench-"))
    session.query("CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic")
    session.query(
        """CREATE TABLE bench.events (layer LowCardinality(String), cell UInt64, time DateTime64(6, 'UTC'), value Nullable(Float64))
           ENGINE = MergeTree ORDER BY (layer, time)"""
    )
    with tempfile.NamedTemporaryFile(suffix=".arrow") as file:
        with pyarrow.ipc.new_file(file.name, table.schema) as writer:
            writer.write_table(table)
        session.query(f"INSERT INTO bench.events SELECT layer, cell, time, value FROM file('{file.name}', Arrow)")
    session.query("OPTIMIZE TABLE bench.events FINAL")
    where = f"layer = '{layer}' AND time >= toDateTime64('{begin}', 6, 'UTC') AND time < toDateTime64('{end}', 6, 'UTC')"

    def rows(sql):
        lines = str(session.query(sql, "JSONCompactEachRow")).splitlines()
        return [[int(value) for value in json.loads(line)] for line in lines]

    top = f"SELECT cell, count() AS events FROM bench.events WHERE {where} GROUP BY cell ORDER BY events DESC, cell LIMIT 100"
    # The answers of these are long: only their size leaves the engine.
    scan = "SELECT count(), sum(events) FROM (SELECT cell, count() AS events FROM bench.events GROUP BY cell)"
    neighbours = f"""SELECT count(), sum(events) FROM (
        SELECT arrayJoin(h3kRing(cell, 1)) AS neighbour, sum(events) AS events
        FROM (SELECT cell, count() AS events FROM bench.events WHERE {where} GROUP BY cell)
        GROUP BY neighbour)"""
    top_times, top_rows = timed(runs, lambda: rows(top))
    scan_times, [scan_row] = timed(runs, lambda: rows(scan))
    near_times, [near_row] = timed(runs, lambda: rows(neighbours))
    return {
        "version": chdb.engine_version,
        "top": {"times": top_times, "rows": top_rows},
        "scan": {"times": scan_times, "number": scan_row[0], "sum": scan_row[1]},
        "neighbours": {"times": near_times, "number": near_row[0], "sum": near_row[1]},
    }


def main():
    path, layer, begin, end, runs = sys.argv[1:]
    with pyarrow.memory_map(path) as source:
        table = pyarrow.ipc.open_file(source).read_all()
        answers = {
            "DuckDB": of_duckdb(table, layer, begin, end, int(runs)),
            "ClickHouse": of_clickhouse(table, layer, begin, end, int(runs)),
        }
    print(json.dumps(answers))


main()
