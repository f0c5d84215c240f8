"""The page that ``thorctl report`` writes."""
