/** A line of a text that is previewed, and how risky it is: 0 to 4. */
export interface Row {
  text: string;
  step: number;
}

/** The lines of a text without the line break in front of it; a tab is drawn as wide as the editor draws it. */
export function rowsOf(
  text: string,
  lines: readonly { step: number; start: { line: number } }[],
  tabSize: number,
): Row[] {
  const steps = new Map(lines.map(({ start, step }) => [start.line, step]));
  const first = text.startsWith('\n') ? 1 : 0;
  return text
    .split('\n')
    .map((row, line) => ({ text: row.replaceAll('\t', ' '.repeat(tabSize)), step: steps.get(line) ?? 0 }))
    .slice(first);
}
