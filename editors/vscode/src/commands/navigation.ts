/** The line to go to from `current`: the nearest one after it (or before it), around the end of the file. */
export function lineToGoTo(lines: readonly number[], current: number, forward: boolean): number | undefined {
  const sorted = [...lines].sort((a, b) => a - b);
  return forward
    ? (sorted.find((line) => line > current) ?? sorted[0])
    : (sorted.findLast((line) => line < current) ?? sorted.at(-1));
}
