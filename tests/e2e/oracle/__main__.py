"""oracle - the whole path again in Python, from survey files to property table, compared with what the program wrote.

    python tests/e2e/oracle OUTPUT [--stages catalog,pack,embed,probe,tables]

OUTPUT is a run.output folder. The roots of the survey files and every setting come from the configuration that the
artefacts carry. Written from the description of the method and of the file formats alone, so that a misreading in one
of the two programs shows. Ends with 1 when anything differs.
"""

import argparse
import os
import sys
import time

from catalogue import Rows, check_catalogue
from check import Report
from dataset import check_dataset
from embeddings import check_embeddings
from properties import check_properties
from regression import check_probes


def main():
    parser = argparse.ArgumentParser(prog="oracle", description=__doc__.splitlines()[0])
    parser.add_argument("output")
    parser.add_argument("--stages", default="catalog,embed,probe,tables")
    parser.add_argument(
        "--every",
        type=int,
        default=1,
        help="encode one plain row of this many; all rows with a flag of their own are encoded",
    )
    parser.add_argument("--beyond", type=int, default=0, help="cutouts that must reach beyond their brick")
    args = parser.parse_args()
    stages = args.stages.split(",")
    rows = Rows(os.path.join(args.output, "catalog.h5"))
    broken, fits, inputs = 0, None, None
    for stage in stages:
        start = time.time()
        report = Report(f"{os.path.basename(args.output)} {stage}")
        if stage == "catalog":
            check_catalogue(report, rows)
        elif stage == "pack":
            check_dataset(report, rows, os.path.join(args.output, "dataset.h5"))
        elif stage == "embed":
            beyond = check_embeddings(report, rows, os.path.join(args.output, "embeddings.h5"), args.every)
            report.check(beyond >= args.beyond, f"at least {args.beyond} cutouts reach beyond their brick", beyond)
        elif stage == "probe":
            fits, inputs, magnitude = check_probes(report, rows, args.output)
        elif stage == "tables":
            check_properties(report, rows, args.output, fits, inputs, magnitude)
        else:
            parser.error(f"no stage {stage}")
        report.say(f"{report.held} properties hold, {report.broken} do not; {time.time() - start:.1f} s")
        broken += report.broken
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
