"""Transcription: audio chunks to a model, its answers stitched to one transcript per recording."""
