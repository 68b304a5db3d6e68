"""What each custodian wrote down: one file for each, from a life to resources."""
