"""What people see before they sign: wording, differences, pictures."""
