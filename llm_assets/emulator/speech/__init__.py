"""Speech recognition with pocketsphinx, in processes of its own so that the server keeps answering."""
