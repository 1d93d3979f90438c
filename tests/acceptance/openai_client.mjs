// What a program in Node does with OpenAI's library. It prints each result as a line of JSON.
import OpenAI, { toFile } from "openai";
import fs from "node:fs";

const [baseURL, recording] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "any" });
const transcriptions = client.audio.transcriptions;
const model = "whisper-1";
const print = (value) => console.log(JSON.stringify(value));
const file = () => fs.createReadStream(recording); // sent first, in chunks, without a length

print((await transcriptions.create({ model, file: file() })).text);

const words = await transcriptions.create({
  model,
  file: file(),
  response_format: "verbose_json",
  timestamp_granularities: ["word"],
});
print(words.words.map((word) => word.word));

let heard = "";
for await (const event of await transcriptions.create({ model, file: file(), stream: true })) {
  heard += event.delta ?? "";
}
print(heard);

try {
  const noise = await toFile(Buffer.from("this is no audio".repeat(99)), "a.mp3");
  await transcriptions.create({ model, file: noise });
} catch (error) {
  print([error.status, error.code]);
}
