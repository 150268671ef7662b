"""How a model does on shifted versions of a test set, compared with the clean one."""
