"""Typed DuckDB tables: partitions replaced whole, views, and reading. The one room that speaks SQL.

`tables` holds plain values and imports nothing heavy; the modules that touch the file import DuckDB.
"""
