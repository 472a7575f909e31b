"""`make fuzz`: Schemathesis against a running service, over its socket, once for each seed given.

The seed `random` stands for a new one. Every seed is printed, so that its run can be repeated.

`make fuzz-stock` (`--stock`) runs it as a user of the service does, with a token and no code of the project. The
configuration is the TOML of docs/contract-testing.md. Without it (`--bare`), failures that the page names remain.
"""

import os
import random
import re
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


def configuration() -> str:
    """The configuration for users in docs/contract-testing.md."""
    found: str
    page = (ROOT / "docs" / "contract-testing.md").read_text()
    (found,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return found


def run_stock(seeds: list[str], *, bare: bool) -> int:
    """Run with every seed in an empty directory, and return the number of seeds that failed."""
    failed = []
    for seed in map(chosen, seeds):
        print(f"Seed {seed}", flush=True)  # noqa: T201
        with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as empty:
            (Path(empty) / "schemathesis.toml").write_text("" if bare else configuration())
            with running_service(Path(data)) as service:
                header = f"Authorization: Bearer {token('ada', seconds=7200)}"
                command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"]
                environment = {"PATH": os.environ["PATH"], "HOME": empty}
                ended = subprocess.run(  # noqa: S603
                    [*command, "-H", header, "--seed", seed], cwd=empty, env=environment, check=False
                )
        if ended.returncode:
            failed.append(seed)
    print(f"Seeds: {len(seeds)}, failed: {', '.join(failed) or 'none'}")  # noqa: T201
    return len(failed)


def _chosen_run(arguments: list[str]) -> int:
    seeds = [argument for argument in arguments if not argument.startswith("--")] or ["1"]
    if "--stock" in arguments or "--bare" in arguments:
        return run_stock(seeds, bare="--bare" in arguments)
    return main(seeds)


if __name__ == "__main__":
    sys.exit(_chosen_run(sys.argv[1:]))
