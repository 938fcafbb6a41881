"""The evidence document: types, schema, digests, merging."""
