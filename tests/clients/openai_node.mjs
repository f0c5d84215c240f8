// The package `openai` of npm.
import assert from "node:assert";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.THORD_URL, apiKey: "none" });
const messages = [{ role: "user", content: "What is the capital of France?" }];
const answer = await client.chat.completions.create({ model: "thor", messages, temperature: 0 });
console.log(answer.choices[0].message.content);
assert.equal(answer.choices[0].finish_reason, "stop");
let text = "";
const stream = await client.chat.completions.create({ model: "thor", messages, temperature: 0, stream: true });
for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
assert.equal(text, answer.choices[0].message.content);
const helper = client.chat.completions.stream({ model: "thor", messages, temperature: 0 });
assert.equal((await helper.finalChatCompletion()).choices[0].message.content, text);
assert.ok((await client.completions.create({ model: "thor", prompt: "Once" })).choices[0].text);
assert.equal((await client.embeddings.create({ model: "thor", input: Array(300).fill("a") })).data.length, 300);
const parameters = { type: "object", properties: { place: { enum: ["Paris", "Rome"] } }, required: ["place"] };
let asked = null;
const runner = client.chat.completions.runTools({
  model: "thor",
  messages,
  temperature: 0,
  max_tokens: 200,
  tool_choice: { type: "function", function: { name: "weather" } },
  tools: [{ type: "function", function: { name: "weather", parameters, parse: JSON.parse, function: (given) => (asked = given) } }],
});
await runner.done();
assert.ok(["Paris", "Rome"].includes(asked.place));
