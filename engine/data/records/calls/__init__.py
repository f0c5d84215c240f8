"""Tools, calls to them and their results: in the fields of APIs, and within the text of turns."""
