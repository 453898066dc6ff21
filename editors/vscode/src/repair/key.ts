import { type SecretStorage, window, workspace } from 'vscode';
import { SECTION } from '../config';

/** Where the key of an endpoint is kept, in the editor's secret store. */
function nameOf(endpoint: string): string {
  return `endpoint ${endpoint}`;
}

export async function keyOf(secrets: SecretStorage, endpoint: string): Promise<string | null> {
  return (await secrets.get(nameOf(endpoint))) ?? null;
}

/** Ask for the key of the endpoint that repairs are asked of; an empty one is forgotten. */
export async function setEndpointKey(secrets: SecretStorage): Promise<void> {
  const endpoint = ownSetting('repairEndpoint') || 'https://api.openai.com/v1';
  await setKey(secrets, endpoint, 'Key of the endpoint that repairs are asked of');
}

/** Ask for the person's key of the team's host; an empty one is forgotten. Tells whether something changed. */
export async function setHostKey(secrets: SecretStorage): Promise<boolean> {
  const host = ownSetting('remoteHost');
  if (!host) {
    throw new Error("set riskLsp.remoteHost to the address of your team's host first");
  }
  return setKey(secrets, host, "Your key for the team's host");
}

function ownSetting(name: string): string | undefined {
  return workspace.getConfiguration(SECTION).inspect<string>(name)?.globalValue;
}

async function setKey(secrets: SecretStorage, endpoint: string, title: string): Promise<boolean> {
  const key = await window.showInputBox({
    title,
    prompt: `For ${endpoint}. Kept in the editor's secret store; leave it empty to forget it.`,
    password: true,
    ignoreFocusOut: true,
  });
  if (key === '') {
    await secrets.delete(nameOf(endpoint));
  } else if (key !== undefined) {
    await secrets.store(nameOf(endpoint), key);
  }
  return key !== undefined;
}
