/** Documents in these languages: files, unsaved ones, and cells of notebooks; "*" is every language. */
export function documentSelector(languages: readonly string[]): { scheme: string; language?: string }[] {
  const schemes = ['file', 'untitled', 'vscode-notebook-cell'];
  return languages.flatMap((language) =>
    schemes.map((scheme) => (language === '*' ? { scheme } : { scheme, language })),
  );
}
