"""Transcripts to structured insights: output models, strict schemas, prompts, extraction and repair."""
