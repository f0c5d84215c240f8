// @langchain/openai, with its defaults.
import assert from "node:assert";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";

const configuration = { baseURL: process.env.THORD_URL };
const chat = new ChatOpenAI({ model: "thor", apiKey: "none", temperature: 0, configuration });
const answer = await chat.invoke("What is the capital of France?");
console.log(answer.content);
assert.equal(answer.response_metadata.finish_reason, "stop");
let text = "";
for await (const piece of await chat.stream("What is the capital of France?")) text += piece.content;
assert.equal(text, answer.content);
const embed = new OpenAIEmbeddings({ model: "thor", apiKey: "none", configuration });
assert.equal((await embed.embedDocuments(Array(600).fill("text"))).length, 600);
