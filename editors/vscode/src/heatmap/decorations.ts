import {
  type Disposable,
  OverviewRulerLane,
  Range,
  type TextEditor,
  type TextEditorDecorationType,
  ThemeColor,
  Uri,
  window,
} from 'vscode';
import { bar } from './bars';
import { linesByStep, STEPS } from './steps';

const ON_LIGHT = '#a85400';
const ON_DARK = '#e8a33d';

/** The decoration types of the heat map, one for each step; colours come from the theme. */
export class Decorations implements Disposable {
  private readonly types: TextEditorDecorationType[];

  constructor(withGutter: boolean) {
    this.types = Array.from({ length: STEPS }, (_, index) => decoration(index + 1, withGutter));
  }

  /** Show the steps of an editor's lines, or nothing. */
  paint(editor: TextEditor, steps: readonly number[]): void {
    const lines = linesByStep(steps, editor.document.lineCount);
    this.types.forEach((type, index) => {
      editor.setDecorations(
        type,
        (lines[index] ?? []).map((line) => new Range(line, 0, line, 0)),
      );
    });
  }

  dispose(): void {
    for (const type of this.types) {
      type.dispose();
    }
  }
}

function decoration(step: number, withGutter: boolean): TextEditorDecorationType {
  const margin = (colour: string) => (withGutter ? { gutterIconPath: Uri.parse(bar(step, colour)) } : {});
  return window.createTextEditorDecorationType({
    isWholeLine: true,
    backgroundColor: new ThemeColor(`riskLsp.heat${step}Background`),
    overviewRulerColor: new ThemeColor(`riskLsp.heat${step}OverviewRuler`),
    overviewRulerLane: OverviewRulerLane.Right,
    light: margin(ON_LIGHT),
    dark: margin(ON_DARK),
  });
}
