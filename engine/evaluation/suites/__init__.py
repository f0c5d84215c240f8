"""Suites: files of conversations or labelled rows that every version is measured on, as the settings name them."""
