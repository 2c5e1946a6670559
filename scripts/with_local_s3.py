"""Run a command with an S3 of its own, whose buckets are folders: examples and trials without AWS.

    with_local_s3.py FOLDER COMMAND [ARGUMENT ...]

FOLDER holds a folder for each bucket. The command finds them through the environment alone
(``AWS_ENDPOINT_URL_S3``, ``HYDRATION_S3_BUCKETS``, credentials that open nothing else); its exit
status is ours. The server is moto's, from the tools that check. Called by ``make samples``.
"""

import os
import subprocess
import sys
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def main(folder: Path, command: list[str]) -> int:
    """Serve the folder while the command runs; returns its exit status."""
    buckets = sorted(path.name for path in folder.iterdir() if path.is_dir())
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {
            **os.environ,
            **_CREDENTIALS,
            "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
            "HYDRATION_S3_BUCKETS": ",".join(buckets),
        }
        _fill(folder, buckets, environment["AWS_ENDPOINT_URL_S3"])
        return subprocess.run(command, env=environment, check=False).returncode
    finally:
        server.stop()


def _fill(folder: Path, buckets: list[str], endpoint: str) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=_CREDENTIALS["AWS_DEFAULT_REGION"],
    )
    for bucket in buckets:
        s3.create_bucket(Bucket=bucket)
        for path in sorted((folder / bucket).rglob("*")):
            if path.is_file():
                key = path.relative_to(folder / bucket).as_posix()
                s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


if __name__ == "__main__":
    if len(sys.argv) < 3 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: with_local_s3.py FOLDER COMMAND [ARGUMENT ...]")
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
