// Processes of this run: language servers, and sandboxes that these have started.
import { readdirSync, readFileSync } from 'node:fs';

/** Ids of the servers whose home is `home`: those that this run started. */
export function serverProcesses(home) {
  return processes().filter((id) => {
    const isServer = /risk-lsp\0serve|scripted_server|model_choice\0serve/.test(read(id, 'cmdline'));
    return isServer && read(id, 'environ').split('\0').includes(`HOME=${home}`);
  });
}

/** Ids of the sandboxes that the servers of this run have started. */
export function sandboxes(home) {
  const servers = serverProcesses(home);
  const parent = (id) => Number(/^PPid:\s*(\d+)/m.exec(read(id, 'status'))?.[1]);
  return processes().filter((id) => /\bbwrap\0/.test(read(id, 'cmdline')) && servers.includes(parent(id)));
}

function processes() {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
}

function read(id, file) {
  try {
    return readFileSync(`/proc/${id}/${file}`, 'utf8');
  } catch {
    return ''; // It ended meanwhile, or is somebody else's.
  }
}
