"""One module per kind of check: measure, and judge a limit."""
