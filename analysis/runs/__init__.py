"""Results folders as one tidy table."""
