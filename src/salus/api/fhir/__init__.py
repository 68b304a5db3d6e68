"""FHIR R4 over HTTP: routes that parse, call one service, render.

Promises: no byte of a patient's record leaves but by the one decision point (R4); every "no" is an OperationOutcome
with coded details; neither logs nor errors nor addresses that this server makes name a person (P4).
"""
