// Vercel's AI SDK with its provider for OpenAI-compatible servers.
import assert from "node:assert";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, streamText } from "ai";

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
