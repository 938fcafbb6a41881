"""Where frames and models come from."""
