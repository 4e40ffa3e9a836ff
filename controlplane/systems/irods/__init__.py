"""All that the control plane knows of iRODS 5."""
