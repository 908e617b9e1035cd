-- The catalog, version 3: the runs of one verb are found without reading all of them.

CREATE INDEX runs_by_verb ON runs (verb, started);
