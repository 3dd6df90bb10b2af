"""Segmenters: plug-ins from a scan to a label map with a quality note."""
