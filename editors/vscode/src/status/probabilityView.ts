/** What the status bar says about a line or a selection; `label` is null for a blank line, which has no number. */
export function probabilityView(
  isLine: boolean,
  label: string | null,
  why: string | null,
): { text: string; tooltip: string } {
  const what = isLine ? 'Line' : 'Selection';
  const number = label ?? '–';
  const meaning = `Probability that the ${what.toLowerCase()} needs an edit`;
  if (why === null) {
    return { text: `${what} ${number}`, tooltip: meaning };
  }
  const isRank = label !== null && !label.endsWith('%');
  const [told, caveat] = isRank
    ? ['Rank among the lines to read', 'No percentage']
    : [meaning, 'It may not hold'];
  return { text: `${what} ${number} $(question)`, tooltip: `${told}\n${caveat}: ${why}.` };
}
