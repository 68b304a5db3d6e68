"""salus fhir: what a person does with FHIR at the terminal: check files, and take an export from a server."""

import click

from salus.cli.fhir.exporting import export
from salus.cli.fhir.validating import validate


@click.group(name="fhir", short_help="Check FHIR files, and take an export from a server.")
def command() -> None:
    """Check FHIR files, and take a bulk export from any FHIR server. To load files into a node: salus import.

    \b
    Example:
      salus fhir validate ./patient.json
      salus fhir export --base https://fhir.example/FHIR/R4 --client ID --key ./client.jwk --out ./export
    """


for each in (validate, export):
    command.add_command(each)
