"""`make fuzz`: Schemathesis against a running service, over its socket, once for each seed given.

The seed `random` stands for a new one. Every seed is printed, so that its run can be repeated.
"""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.support.service import ROOT, SECRET, running_service, token

PEERS = ("ada", "bob")
_SEEDS = 2**32


def write_peers(directory: Path) -> Path:
    """Write the tokens of the two users in the form of Web Fuzzing Commons, and return the file's path."""
    path = directory / "peers.yaml"
    entries = [
        {"name": peer, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token(peer, seconds=7200)}"}]}
        for peer in PEERS
    ]
    path.write_text(yaml.safe_dump({"auth": entries}))
    return path


def chosen(seed: str) -> str:
    """The seed, or a new one in place of `random`."""
    return str(random.randrange(_SEEDS)) if seed == "random" else seed  # noqa: S311  not for security


def main(seeds: list[str]) -> int:
    """Fuzz with every seed, and return the number of those that failed."""
    failed = []
    with tempfile.TemporaryDirectory() as name, running_service(Path(name)) as service:
        environment = {**os.environ, "WFC_FILE": str(write_peers(Path(name))), "BETTER_AUTH_SECRET": SECRET}
        for seed in map(chosen, seeds):
            print(f"Seed {seed}", flush=True)  # noqa: T201
            command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json", "--seed", seed]
            if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:  # noqa: S603
                failed.append(seed)
        if service.process.poll() is not None:
            failed.append("the service ended")
    print(f"Seeds: {len(seeds)}, failed: {', '.join(failed) or 'none'}")  # noqa: T201
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["1"]))
