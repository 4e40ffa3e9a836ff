"""Write all dashboards into this folder."""

from controlplane.cli.files import write_text
from monitoring.dashboards.files import FOLDER, texts

for name, text in texts().items():
    write_text(FOLDER / name, text)
