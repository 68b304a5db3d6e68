"""What people meet: pages rendered on the server, the signer of their keys, the verifier of their receipts (U1-U4)."""
