"""From a sweep's YAML to jobs to rows; searches run here too. Floor 5."""
