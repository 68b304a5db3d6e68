"""HTTP interfaces of a node; each route parses, calls one service and renders."""
