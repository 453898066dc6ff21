// node drive.mjs ROOT HOST_TESTS_VSIX: everything that is checked in a real VS Code, in a trusted workspace, in one that
// is not, and in one of two folders. CHECKS names some of the groups below to run instead of all: CHECKS="writing choosing".
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { askingChecks } from './asking.mjs';
import { choosingChecks } from './choosing.mjs';
import { conclude } from './lib/checks.mjs';
import { Endpoint } from './lib/endpoint.mjs';
import { makeFolders } from './lib/folders.mjs';
import { install, scripted, session } from './lib/session.mjs';
import { locatingChecks } from './locating.mjs';
import { multiRootChecks } from './multiRoot.mjs';
import { personChecks } from './person.mjs';
import { realModelChecks } from './realModel.mjs';
import { repairChecks } from './repairing.mjs';
import { reviewChecks } from './reviewing.mjs';
import { teamHostChecks } from './teamHost.mjs';
import { untrustedChecks } from './untrusted.mjs';
import { writingChecks } from './writing.mjs';

const [root, hostTests] = process.argv.slice(2);
const artefacts = join(root, '.cache', 'editors', 'artefacts', 'vscode');
rmSync(artefacts, { recursive: true, force: true });
mkdirSync(artefacts, { recursive: true });

const endpoint = await Endpoint.start();
const chosen = process.env.CHECKS?.split(' ');
const run = { root, artefacts, folders: makeFolders(root) };
try {
  install(run, join(root, 'editors', 'vscode', 'dist', 'risk-lsp.vsix'), hostTests);
  const machine = { 'riskLsp.repairEndpoint': endpoint.url, 'riskLsp.repairModel': 'scripted' };
  const trusted = { suite: chosen ? 'none' : 'trusted', workspace: run.folders.workspace, file: 'sample.py', machine };
  await session(run, trusted, (window) => {
    const groups = {
      person: () => personChecks(window, run.folders),
      repairing: () => repairChecks(window, run.folders, root),
      asking: () => askingChecks(window, run.folders, endpoint, artefacts),
      writing: () => writingChecks(window, run.folders),
      reviewing: () => reviewChecks(window, run.folders),
      choosing: () => choosingChecks(window, run.folders, root),
      locating: () => locatingChecks(window, run.folders, root),
      teamHost: () => teamHostChecks(window, run.folders, root, artefacts),
      realModel: () => realModelChecks(window, run.folders, root),
    };
    return (chosen ?? Object.keys(groups)).flatMap((name) => groups[name]?.() ?? []);
  });
  if (!chosen || chosen.includes('untrusted')) {
    const command = scripted(run, { watched: true });
    const untrusted = { suite: 'untrusted', workspace: run.folders.stranger, file: 'program.py' };
    await session(run, { ...untrusted, machine: { 'riskLsp.server.command': command } }, (window) =>
      untrustedChecks(window, run.folders, command),
    );
  }
  if (!chosen || chosen.includes('multiRoot')) {
    const workspace = join(run.folders.multiRoot, 'two.code-workspace');
    await session(run, { suite: 'multiRoot', workspace, file: join('low', 'low.py') }, (window) => multiRootChecks(window));
  }
} finally {
  endpoint.stop();
  if (!process.env.KEEP) {
    rmSync(run.folders.home, { recursive: true, force: true });
  }
}
process.exit(conclude());
