// node drive.mjs ROOT HOST_TESTS_VSIX: everything that is checked in a real VS Code, in a trusted workspace and in one
// that is not.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { conclude } from './lib/checks.mjs';
import { makeFolders } from './lib/folders.mjs';
import { install, session } from './lib/session.mjs';
import { personChecks } from './person.mjs';
import { realModelChecks } from './realModel.mjs';
import { repairChecks } from './repairing.mjs';
import { untrustedChecks } from './untrusted.mjs';

const [root, hostTests] = process.argv.slice(2);
const artefacts = join(root, '.cache', 'editors', 'artefacts', 'vscode');
rmSync(artefacts, { recursive: true, force: true });
mkdirSync(artefacts, { recursive: true });

const run = { root, artefacts, folders: makeFolders(root) };
try {
  install(run, join(root, 'editors', 'vscode', 'dist', 'risk-lsp.vsix'), hostTests);
  await session(run, { suite: 'trusted', workspace: run.folders.workspace, file: 'sample.py' }, (window) => [
    ...personChecks(window, run.folders),
    ...repairChecks(window, run.folders, root),
    ...realModelChecks(window, run.folders, root),
  ]);
  await session(run, { suite: 'untrusted', workspace: run.folders.stranger, file: 'program.py' }, (window) =>
    untrustedChecks(window, run.folders),
  );
} finally {
  if (!process.env.KEEP) {
    rmSync(run.folders.home, { recursive: true, force: true });
  }
}
process.exit(conclude());
