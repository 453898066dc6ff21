/** The minutes that a person typed; undefined if it is not a positive number. */
export function minutesOf(text: string): number | undefined {
  const minutes = Number(text);
  return Number.isFinite(minutes) && minutes > 0 ? minutes : undefined;
}
