import { type SecretStorage, window, workspace } from 'vscode';
import { SECTION } from '../config';

/** Where the key of an endpoint is kept, in the editor's secret store. */
function nameOf(endpoint: string): string {
  return `endpoint ${endpoint}`;
}

export async function keyOf(secrets: SecretStorage, endpoint: string): Promise<string | null> {
  return (await secrets.get(nameOf(endpoint))) ?? null;
}

/** Ask for the key of the endpoint in the settings; an empty one is forgotten. */
export async function setKey(secrets: SecretStorage): Promise<void> {
  const configured = workspace.getConfiguration(SECTION).inspect<string>('repairEndpoint')?.globalValue;
  const endpoint = configured || 'https://api.openai.com/v1';
  const key = await window.showInputBox({
    title: 'Key of the endpoint that repairs are asked of',
    prompt: `For ${endpoint}. Kept in the editor's secret store; leave it empty to forget it.`,
    password: true,
    ignoreFocusOut: true,
  });
  if (key === '') {
    await secrets.delete(nameOf(endpoint));
  } else if (key !== undefined) {
    await secrets.store(nameOf(endpoint), key);
  }
}
