"""Recordings: found in a folder or a bucket, read and probed once, prepared as the chunks providers take."""
