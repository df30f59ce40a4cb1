// A program with the official OpenAI SDK, as `nexus exec` runs it. Prints a streamed answer, and how many of 64
// questions at once were answered.

import OpenAI from 'openai';

const client = new OpenAI();
const question = (content, stream) => ({ model: 'gpt-real-run', stream, messages: [{ role: 'user', content }] });
let streamed = '';
for await (const chunk of await client.chat.completions.create(question('tell me a story', true))) {
  streamed += chunk.choices[0]?.delta?.content ?? '';
}
const answers = await Promise.all(Array.from({ length: 64 }, () => client.chat.completions.create(question('hello', false))));
console.log(JSON.stringify({ streamed, answered: answers.filter(({ choices }) => choices[0].message.content).length }));
