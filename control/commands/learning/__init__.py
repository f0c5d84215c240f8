"""Commands that give thord data and run cycles."""
