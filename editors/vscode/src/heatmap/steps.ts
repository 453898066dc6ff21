/** Strongest step of the heat map; 0 is not shown. */
export const STEPS = 4;

/** Zero-based lines of each step: element `k` is for step `k + 1`. Lines that the document no longer has are left out. */
export function linesByStep(steps: readonly number[], lineCount: number): number[][] {
  const lines: number[][] = Array.from({ length: STEPS }, () => []);
  steps.slice(0, lineCount).forEach((step, line) => {
    lines[Math.min(step, STEPS) - 1]?.push(line);
  });
  return lines;
}
