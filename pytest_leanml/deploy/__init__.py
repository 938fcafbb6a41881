"""Post-pass actions: lock, journal, deployer."""
