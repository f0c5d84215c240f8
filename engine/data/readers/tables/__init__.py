"""Binary tables: Parquet, Arrow and SQLite. Their rows are records of any shape that thord knows, or messages."""
