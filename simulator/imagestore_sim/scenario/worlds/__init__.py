"""The worlds that a scenario is played in: simulated hosts, containers, or a lab that is running."""
