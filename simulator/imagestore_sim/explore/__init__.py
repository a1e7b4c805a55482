"""Finds failing stories by itself: draws stories and orders from seeds, plays them, and judges what happened."""
