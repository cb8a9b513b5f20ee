"""JSON schemas: which ones strict mode takes, and a valid value for every one of them."""
