"""Insights by plain rules: what a reader sees at once in a customer call, and nothing cleverer than that."""
