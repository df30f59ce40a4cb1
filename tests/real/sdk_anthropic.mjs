// A program with the official Anthropic SDK, as `nexus exec` runs it. Prints a streamed answer, and how many of 64
// questions at once were answered.

import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic();
const question = (content) => ({ model: 'claude-real-run', max_tokens: 100, messages: [{ role: 'user', content }] });
let streamed = '';
await client.messages.stream(question('tell me a story')).on('text', (text) => (streamed += text)).finalMessage();
const answers = await Promise.all(Array.from({ length: 64 }, () => client.messages.create(question('hello'))));
console.log(JSON.stringify({ streamed, answered: answers.filter(({ content }) => content[0].text).length }));
