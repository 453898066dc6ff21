/** Two digits at most: "41%"; never "0%" or "100%", since no span is known to be right or wrong. */
export function percent(probability: number): string {
  const rounded = roundHalfToEven(100 * probability);
  if (rounded < 1) {
    return '<1%';
  }
  return rounded < 100 ? `${rounded}%` : '>99%';
}

/** The server rounds like this, and hover and status bar must not differ. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const isTie = value - floor === 0.5;
  return isTie ? floor + (floor % 2) : Math.round(value);
}
