/** Nothing is fetched and nothing runs: a report is text and styles. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:";

/** The report's own colours and sizes are for a browser; in a panel it looks like the editor around it. */
const STYLE = `
html { font-size: var(--vscode-font-size, 13px); }
html body {
  max-width: 72rem; padding: 1.25rem 1.5rem 3rem;
  font-family: var(--vscode-font-family); font-size: 1rem;
  --page: var(--vscode-editor-background); --text: var(--vscode-foreground);
  --quiet: var(--vscode-descriptionForeground); --link: var(--vscode-textLink-foreground);
  --line: var(--vscode-panel-border); --panel: var(--vscode-textBlockQuote-background);
  --bar: var(--vscode-riskLsp-heat4OverviewRuler); --rest: color-mix(in srgb, var(--vscode-foreground) 25%, transparent);
  --s1: var(--vscode-riskLsp-heat1Background); --s2: var(--vscode-riskLsp-heat2Background);
  --s3: var(--vscode-riskLsp-heat3Background); --s4: var(--vscode-riskLsp-heat4Background);
  --mono: var(--vscode-editor-font-family);
}
html code { color: inherit; background: none; padding: 0; }
`;

/** The server's report as a panel shows it: in the editor's colours, with our content security policy in place of its own. */
export function reportPage(html: string): string {
  const ours = `<meta http-equiv="Content-Security-Policy" content="${POLICY}"><style>${STYLE}</style>`;
  const page = html.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/i, '');
  const head = /<head[^>]*>/i.exec(page);
  if (!head) {
    return `<!doctype html><html><head>${ours}</head>${page}</html>`;
  }
  const end = head.index + head[0].length;
  return page.slice(0, end) + ours + page.slice(end);
}
