"""Training of the two generators; needs the extra `train`. Nothing in `edgeconnect_hf` imports this."""
