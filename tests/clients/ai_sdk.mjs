// Vercel's AI SDK with its provider for OpenAI-compatible servers.
import assert from "node:assert";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } from "ai";

const thord = createOpenAICompatible({ name: "thord", baseURL: process.env.THORD_URL, apiKey: "none" });
const prompt = "What is the capital of France?";
const answer = await generateText({ model: thord("thor"), prompt, temperature: 0 });
console.log(answer.text);
assert.equal(answer.finishReason, "stop");
let text = "";
for await (const piece of streamText({ model: thord("thor"), prompt, temperature: 0 }).textStream) text += piece;
assert.equal(text, answer.text);
const completion = await generateText({ model: thord.completionModel("thor"), prompt: "Once", maxOutputTokens: 4 });
assert.ok(completion.text);
const values = Array(400).fill("a");
assert.equal((await embedMany({ model: thord.textEmbeddingModel("thor"), values })).embeddings.length, 400);
const city = { name: { type: "string", maxLength: 30 }, continent: { enum: ["Africa", "America", "Asia", "Europe"] } };
const schema = jsonSchema({ type: "object", properties: city, required: ["name", "continent"], additionalProperties: false });
const structured = createOpenAICompatible({ name: "thord", baseURL: process.env.THORD_URL, apiKey: "none", supportsStructuredOutputs: true });
const { object } = await generateObject({ model: structured("thor"), schema, prompt, temperature: 0 });
console.log(object);
assert.ok(city.continent.enum.includes(object.continent));
const streamed = streamObject({ model: structured("thor"), schema, prompt, temperature: 0 });
for await (const part of streamed.partialObjectStream) assert.ok(part);
assert.deepEqual(await streamed.object, object);
const asked = [];
const inputSchema = jsonSchema({ type: "object", properties: { place: { enum: ["Paris", "Rome"] } }, required: ["place"] });
const weather = tool({ description: "Tells the weather", inputSchema, execute: async ({ place }) => asked.push(place) });
const loop = await generateText({
  model: thord("thor"),
  prompt,
  temperature: 0,
  maxOutputTokens: 300,
  tools: { weather },
  prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber ? "none" : "required" }),
  stopWhen: stepCountIs(2),
});
assert.ok(asked.length && asked.every((place) => ["Paris", "Rome"].includes(place)));
assert.equal(loop.steps.length, 2);
