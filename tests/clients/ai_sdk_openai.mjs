// Vercel's AI SDK with its provider for OpenAI, which asks by the Responses API unless it is told otherwise.
import assert from "node:assert";
import { createOpenAI } from "@ai-sdk/openai";
import { generateObject, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

const openai = createOpenAI({ baseURL: process.env.THORD_URL, apiKey: "none" });
const prompt = "What is the capital of France?";
const answer = await generateText({ model: openai("thor"), prompt, temperature: 0 });
console.log(answer.text);
assert.equal(answer.finishReason, "stop");
let text = "";
for await (const piece of streamText({ model: openai("thor"), prompt, temperature: 0 }).textStream) text += piece;
assert.equal(text, answer.text);
const city = { name: { type: "string", maxLength: 30 }, continent: { enum: ["Africa", "America", "Asia", "Europe"] } };
const schema = jsonSchema({ type: "object", properties: city, required: ["name", "continent"], additionalProperties: false });
const { object } = await generateObject({ model: openai("thor"), schema, prompt, temperature: 0 });
console.log(object);
assert.ok(city.continent.enum.includes(object.continent));
const asked = [];
const inputSchema = jsonSchema({ type: "object", properties: { place: { enum: ["Paris", "Rome"] } }, required: ["place"] });
const weather = tool({ description: "Tells the weather", inputSchema, execute: async ({ place }) => asked.push(place) });
const loop = await generateText({
  model: openai("thor"),
  prompt,
  temperature: 0,
  maxOutputTokens: 300,
  tools: { weather },
  prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber ? "none" : "required" }),
  stopWhen: stepCountIs(2),
});
assert.ok(asked.length && asked.every((place) => ["Paris", "Rome"].includes(place)));
assert.equal(loop.steps.length, 2);
