"""The sections of the report on a run, one module each: functions from numbers to HTML."""
