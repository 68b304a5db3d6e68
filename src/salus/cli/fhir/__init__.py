"""salus fhir: what a person does with FHIR at the terminal: check files, take an export, read what was delivered."""

import click

from salus.cli.fhir.deliveries import deliveries
from salus.cli.fhir.exporting import export
from salus.cli.fhir.validating import validate


@click.group(name="fhir", short_help="Check FHIR files, take an export, read what was delivered.")
def command() -> None:
    """Check FHIR files, take a bulk export from any FHIR server, and read what a node told its subscriptions.

    To load files into a node: salus import.

    \b
    Example:
      salus fhir validate ./patient.json
      salus fhir export --base https://fhir.example/FHIR/R4 --client ID --key ./client.jwk --out ./export
      salus fhir deliveries ./north/rz1
    """


for each in (validate, export, deliveries):
    command.add_command(each)
