"""Where workflow documents are kept, and how they are passed on."""
