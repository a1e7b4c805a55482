"""Where a scenario is played: simulated hosts, containers, or a running lab."""
