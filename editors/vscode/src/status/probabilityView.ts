import { percent } from '../percent';

/** What the status bar says about a line or a selection; a blank line has no probability. */
export function probabilityView(
  isLine: boolean,
  probability: number | null,
  outside: string | null,
): { text: string; tooltip: string } {
  const what = isLine ? 'Line' : 'Selection';
  const number = probability === null ? '–' : percent(probability);
  const meaning = `Probability that the ${what.toLowerCase()} needs an edit`;
  return outside === null
    ? { text: `${what} ${number}`, tooltip: meaning }
    : { text: `${what} ${number} $(question)`, tooltip: `${meaning}\nIt may not hold: ${outside}.` };
}
