import { STEPS } from './steps';

/** A bar for the margin, as tall as the step is high, so that steps differ without colour. */
export function bar(step: number, colour: string): string {
  const height = (14 * step) / STEPS;
  const rectangle = `<rect x="10" y="${15 - height}" width="3" height="${height}" rx="1" fill="${colour}"/>`;
  return `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16">${rectangle}</svg>`,
  )}`;
}
