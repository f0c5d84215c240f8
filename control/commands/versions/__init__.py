"""Commands that list, move and exchange versions."""
