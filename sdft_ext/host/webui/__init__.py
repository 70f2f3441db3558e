"""AUTOMATIC1111's WebUI as a host: the only files that know its modules."""
