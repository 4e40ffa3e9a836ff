"""What the platform's inventory is to Ansible."""
