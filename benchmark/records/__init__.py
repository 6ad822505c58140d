"""What a results folder holds. No torch here."""

from benchmark.records.folder import TEACHERS, Folder, State
from benchmark.records.record import (
    RELATIONS_VERSION,
    SCHEMA,
    Cost,
    Provenance,
    Record,
    RecordError,
    Result,
    Status,
    cost_row,
    key_columns,
    read_record,
    run_rows,
)
