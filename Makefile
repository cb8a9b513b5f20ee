.PHONY: check format lint types imports test samples

check: lint types imports test

format:
	ruff format .
	ruff check --fix .

lint:
	ruff format --check .
	ruff check .

types:
	pyright --pythonpath "$$(command -v python)"

imports:
	lint-imports --no-cache

test:
	pytest

# The sample recordings are in git; this speaks them anew (needs Debian's flite).
samples:
	python scripts/make_samples.py
