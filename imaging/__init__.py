"""Reading and writing scans, geometry, segmentation and phantoms.

Nothing heavy is imported here: import the module you need.
"""
