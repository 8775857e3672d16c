"""The planner: how many queries a copy takes, at every access level, and what they cost."""
