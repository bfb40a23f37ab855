-- Which life of a container service showed the run alive first: what another one says of it is not believed.
ALTER TABLE attempt ADD COLUMN boot TEXT;
