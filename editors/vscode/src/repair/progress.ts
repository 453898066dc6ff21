import { type Progress, ProgressLocation, window } from 'vscode';
import type {
  HandleWorkDoneProgressSignature,
  ProgressToken,
  WorkDoneProgressBegin,
  WorkDoneProgressEnd,
  WorkDoneProgressReport,
} from 'vscode-languageclient/node';

type Change = WorkDoneProgressBegin | WorkDoneProgressReport | WorkDoneProgressEnd;

interface Shown {
  report(change: WorkDoneProgressReport): void;
  end(): void;
}

/**
 * Shows progress that can be cancelled as a message with a button: the language client would show it in the status bar,
 * where there is none. `cancel` is called when the button is pressed.
 */
export function cancellableProgress(cancel: (token: ProgressToken) => void) {
  const shown = new Map<ProgressToken, Shown>();
  return (token: ProgressToken, change: Change, next: HandleWorkDoneProgressSignature): void => {
    const known = shown.get(token);
    if (change.kind === 'begin' && change.cancellable) {
      shown.set(
        token,
        show(change, () => cancel(token)),
      );
    } else if (!known) {
      next(token, change);
    } else if (change.kind === 'report') {
      known.report(change);
    } else if (change.kind === 'end') {
      shown.delete(token);
      known.end();
    }
  };
}

function show(begin: WorkDoneProgressBegin, cancel: () => void): Shown {
  let progress: Progress<{ message?: string; increment?: number }> | undefined;
  let end = () => {};
  let percentage = 0;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const options = { location: ProgressLocation.Notification, cancellable: true, title: begin.title };
  void window.withProgress(options, (given, token) => {
    progress = given;
    token.onCancellationRequested(cancel);
    given.report({ message: begin.message ?? '' });
    return ended;
  });
  const report = (change: WorkDoneProgressReport) => {
    const increment = Math.max(0, (change.percentage ?? percentage) - percentage);
    percentage += increment;
    progress?.report({ message: change.message ?? '', increment });
  };
  return { report, end: () => end() };
}
