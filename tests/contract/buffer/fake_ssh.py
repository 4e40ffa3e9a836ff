"""The program `ssh` of these tests: the program of the role, run here, with faults when the test orders them.

Usage: fake_ssh.py FOLDER WORD..., with the words that ssh is given. In FOLDER are `root`, below which the
buffer server's files are; `started`, a line of JSON for each start; `requests`, a line for each request that
came; and the orders of the test:

- `says`: end at once with this text and the exit code in `code`; `says-once`: the same, and once;
- `fault-N`: at the Nth request, `before` ends without passing it on, `after` does so without its answer,
  `hang` does not answer, and any other text is the answer.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "roles/buffer_server/files/buffer-accounts"


def main(folder: Path, words: list[str]) -> int:
    with (folder / "started").open("a") as file:
        file.write(json.dumps(words) + "\n")
    for order in ("says", "says-once"):
        if (text := folder / order).exists():
            sys.stderr.write(text.read_text("utf-8"))
            if order == "says-once":
                text.unlink()
            return int((folder / "code").read_text())
    with subprocess.Popen(
        [sys.executable, "-I", str(PROGRAM), "--root", str(folder / "root")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdin
        assert program.stdout
        for line in sys.stdin.buffer:
            with (folder / "requests").open("ab") as file:
                file.write(line)
            number = len((folder / "requests").read_bytes().splitlines())
            order = folder / f"fault-{number}"
            fault = order.read_text("utf-8") if order.exists() else ""
            answer = b""
            if fault in ("", "after"):
                program.stdin.write(line)
                program.stdin.flush()
                answer = program.stdout.readline()
            match fault:
                case "before" | "after":
                    sys.stderr.write("client_loop: send disconnect: Broken pipe\n")
                    return 255
                case "hang":
                    time.sleep(600)
                case "":
                    sys.stdout.buffer.write(answer)
                case text:
                    sys.stdout.write(text)
            sys.stdout.flush()
            if not fault and not answer:
                # The program is gone, so that its session is.
                program.stdin.close()
                return program.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
