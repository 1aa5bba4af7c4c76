"""From a data file to a model in a file and back: what ``fallline fit`` and ``predict`` do."""
