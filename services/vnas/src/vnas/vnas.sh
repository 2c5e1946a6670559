#!/bin/sh
# The shipped valuation script: the QuantLib engine, one task from standard input to standard output.
# Runs the python that comes first on PATH; -P keeps the working directory off its module path.
python=$(command -v python3) || python=$(command -v python) || {
    echo "VNP-501 /: the engine could not start: no python3 on PATH" >&2
    exit 70
}
if [ ! -x "$python" ]; then
    echo "VNP-501 /: the engine could not start: python3 cannot be run" >&2
    exit 70
fi
exec "$python" -P -m vnas.engine "$@"
