"""What the federation proxy needs beside SATOSA and pyFF: verified metadata, metrics, who a person is."""
