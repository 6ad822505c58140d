"""From evidence to tables, and to their markup."""
