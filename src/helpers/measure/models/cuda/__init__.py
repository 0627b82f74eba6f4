"""Decoder blocks on a GPU: the steps between matrix products in few kernels."""
