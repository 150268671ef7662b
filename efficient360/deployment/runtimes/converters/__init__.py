"""One file per runtime: how it converts an exported program. Its other half, what runs on a device, is ``kit/sessions/NAME.py``."""
