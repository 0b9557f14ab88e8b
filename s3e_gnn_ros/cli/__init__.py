"""The command line: ``s3e-gnn COMMAND``, one file per command."""
