"""How fast ClickHouse (chdb) parses and aggregates the events of `memory_to_grid`.

    ndjson.py EVENTS.ndjson RUNS

The file is read from the page cache. One JSON object is printed: the version, the seconds of RUNS runs, and the events and rows
of the answer: one row a layer, cell of resolution 9 and minute, with what the grid keeps of them.
"""

import json
import sys
import time

import chdb
from chdb.session import Session

COLUMNS = """id String, source String, type LowCardinality(String), time String,
    data Tuple(sensor Nullable(String), property Nullable(String), category Nullable(String), value Nullable(Float64),
               severity Nullable(UInt8), lon Float64, lat Float64)"""


def main():
    path, runs = sys.argv[1], int(sys.argv[2])
    session = Session()
    question = f"""SELECT sum(events), count() FROM (
        SELECT coalesce(data.property, data.category) AS layer, geoToH3(data.lat, data.lon, 9) AS cell,
               toStartOfMinute(parseDateTime64BestEffort(time, 6, 'UTC')) AS bucket, count() AS events,
               sum(data.value) AS total, min(data.value) AS least, max(data.value) AS greatest, sum(data.severity) AS weight
        FROM file('{path}', JSONEachRow, '{COLUMNS}') GROUP BY layer, cell, bucket)"""
    times = []
    for _ in range(runs + 1):
        began = time.perf_counter()
        answer = str(session.query(question, "JSONCompactEachRow"))
        times.append(time.perf_counter() - began)
    events, rows = (int(number) for number in json.loads(answer))
    print(json.dumps({"version": chdb.engine_version, "times": times[1:], "events": events, "rows": rows}))


main()
