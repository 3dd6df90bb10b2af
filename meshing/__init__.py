"""Labels to surfaces to tetrahedra, mesh quality and embeddings.

Nothing heavy is imported here: import the module you need.
"""
