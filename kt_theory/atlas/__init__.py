"""The atlas: every channel, access level and training objective that has a name, simulated at three
sizes on four teachers, the law of each risk fitted beside the one that theory says.
"""
