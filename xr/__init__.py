"""OpenXR: runtime, input and stereo rendering.

Nothing heavy is imported here: import the module you need.
"""
