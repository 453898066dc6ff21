// An OpenAI-compatible endpoint on this machine: it writes `best` where the program says `BUG`, and notes who asked.
import { once } from 'node:events';
import { createServer } from 'node:http';

export class Endpoint {
  /** The Authorization header of each question. */
  keys = [];

  static async start() {
    const endpoint = new Endpoint();
    endpoint.server = createServer((request, response) => endpoint.answer(request, response));
    await once(endpoint.server.listen(0, '127.0.0.1'), 'listening');
    return endpoint;
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}/v1`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  async answer(request, response) {
    this.keys.push(request.headers.authorization);
    const { messages, model } = JSON.parse((await request.toArray()).join(''));
    const [, program] = /```python\n(.*?)```/s.exec(messages.at(-1).content);
    const content = `The name is wrong.\n\`\`\`python\n${program.replace('BUG', 'best')}\`\`\`\n`;
    response.setHeader('Content-Type', 'text/event-stream');
    for (const [delta, reason] of [[{ role: 'assistant', content }, null], [{}, 'stop']]) {
      const choices = [{ index: 0, delta, finish_reason: reason }];
      const chunk = { id: '1', object: 'chat.completion.chunk', created: 0, model, choices };
      response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    }
    response.end('data: [DONE]\n\n');
  }
}
