"""ZStack's wire protocol: HTTP, messages, jobs, sessions, JSON and errors. It knows no resource."""
