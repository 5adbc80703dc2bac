"""AgentPhone's webhooks: one endpoint of the workspace, what it is told, and the log of it."""
