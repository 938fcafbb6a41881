"""Both sides in one run, ratios of medians."""
