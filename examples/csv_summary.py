"""Summarize the sales in a CSV file by region."""

import csv
import sys
from collections import defaultdict


def summarize_sales(path):
    """
    Read a CSV file with the columns `region`, `product` and `amount`
    and return the total and the average amount for each region.

    Rows with a missing or invalid amount are skipped.

    Args:
        path (str): Path to the CSV file.

    Returns:
        dict: A mapping of region to a (total, average) tuple.
    """
    totals = defaultdict(float)
    counts = defaultdict(int)

    with open(path, newline="", encoding="utf-8") as csv_file:
        reader = csv.DictReader(csv_file)
        for row in reader:
            try:
                amount = float(row["amount"])
            except (TypeError, ValueError):
                continue
            region = row["region"].strip()
            totals[region] += amount
            counts[region] += 1

    return {region: (totals[region], totals[region] / counts[region]) for region in totals}


def main():
    """Print a summary table for the CSV file given on the command line."""
    if len(sys.argv) != 2:
        print("Usage: csv_summary.py FILE")
        sys.exit(1)

    summary = summarize_sales(sys.argv[1])
    for region, (total, average) in sorted(summary.items()):
        print(f"{region:<20} {total:>12.2f} {average:>12.2f}")


if __name__ == "__main__":
    main()
