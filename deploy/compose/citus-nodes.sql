-- Run at every start, on the coordinator: a node that is already there stays as it is.
SELECT citus_set_coordinator_host('citus', 5432);
SELECT citus_add_node('citus-worker-1', 5432);
SELECT citus_add_node('citus-worker-2', 5432);
