"""Commands that set thord up and find out what is wrong with it."""
