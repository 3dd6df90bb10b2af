"""Scene files, procedures, the session, viewer, report and command line.

Nothing heavy is imported here: import the module you need.
"""
