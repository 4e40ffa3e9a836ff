"""Rule bases: policy as code for the rule engines of iRODS."""
