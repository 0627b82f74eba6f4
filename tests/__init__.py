"""Tests; folders mirror those of `src/helpers`."""
