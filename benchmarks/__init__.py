"""What the client achieves under rate limits, faults and load, measured beside what others do.

`python -m benchmarks` from the root of the repository; README.md says what is measured and how.
"""
