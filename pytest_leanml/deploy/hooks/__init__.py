"""The hooks that come with the package, one a module."""
