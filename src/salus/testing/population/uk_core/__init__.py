"""The shapes of UK Core (R4): functions from plain values to the elements of one resource type each."""
