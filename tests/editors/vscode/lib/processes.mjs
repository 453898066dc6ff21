// The language server's process, among those of this run.
import { readdirSync, readFileSync } from 'node:fs';

/** Ids of the servers whose home is `home`: those that this run started. */
export function serverProcesses(home) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((id) => {
      const command = read(`/proc/${id}/cmdline`);
      const isServer = /risk-lsp\0serve|scripted_server/.test(command);
      return isServer && read(`/proc/${id}/environ`).split('\0').includes(`HOME=${home}`);
    })
    .map(Number);
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // It ended meanwhile, or is somebody else's.
  }
}
