"""What members who run one ledger together exchange before it runs, and the folder that each of them has.

Files that travel hold public material only; the keys that they are signed with never leave their folder.
"""
