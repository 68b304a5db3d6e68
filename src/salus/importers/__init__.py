"""Files of health records into a node: FHIR bundles and NDJSON, one patient's whole chart as one deposit.

Promises: a chart is filed whole or not at all; the same file again adds nothing; whoever is not enrolled yet is
enrolled with a key that the custodian holds, visibly. Never guesses whom a record is about.
"""

from salus.importers.charts import Chart, read_bundle_file
from salus.importers.filing import FiledChart, file_chart
from salus.importers.ndjson_files import NdjsonFiles

__all__ = ["Chart", "FiledChart", "NdjsonFiles", "file_chart", "read_bundle_file"]
