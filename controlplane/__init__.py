"""The control plane of BioImage Cloud: what should exist, what exists, and the plan between them."""
