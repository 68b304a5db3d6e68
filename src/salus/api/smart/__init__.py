"""SMART App Launch 2: how the apps of others are let in, for whom, and for how long."""
