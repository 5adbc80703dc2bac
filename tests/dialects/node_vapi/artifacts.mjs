// Does with Vapi's own client for Node what the test asks for, and tells what came of it as JSON.
import { createHash } from "node:crypto";
import { VapiClient, Vapi, VapiError } from "@vapi-ai/server-sdk";

const { url, key, publicKey, call, missing } = JSON.parse(process.argv[2]);
const ENDPOINTS = ["MonoRecording", "StereoRecording", "CustomerRecording", "AssistantRecording", "VideoRecording", "Pcap", "CallLogs"];

let bytes;
async function remembering(...asked) {
  const answer = await fetch(...asked);
  bytes = Buffer.from(await answer.clone().arrayBuffer());
  return answer;
}

const client = (token) => new VapiClient({ token, baseUrl: url, maxRetries: 0, fetch: remembering });
const download = (calls, endpoint, id) => calls[`callArtifactController${endpoint}Download`]({ id });

async function failed(asked) {
  try {
    await asked;
  } catch (error) {
    const kind = [Vapi.UnauthorizedError, Vapi.NotFoundError, VapiError].find((known) => error instanceof known);
    return { kind: kind?.name, status: error.statusCode, body: error.body };
  }
  return null;
}

const vapi = client(key);
const told = { artifacts: {} };
for (const endpoint of ENDPOINTS) {
  const { rawResponse } = await download(vapi.calls, endpoint, call).withRawResponse();
  told.artifacts[endpoint] = {
    redirected: rawResponse.redirected,
    type: rawResponse.headers.get("content-type"),
    bytes: bytes.toString("base64"),
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}
told.got = await vapi.calls.get({ id: call });
told.listed = (await vapi.calls.list({ id: call })).map((found) => found.id);
told.none = await vapi.calls.list({ limit: 0 });
const created = await vapi.calls.create({ assistantId: missing, customer: { number: "+15550111" } });
told.created = created;
told.updated = await vapi.calls.update({ id: created.id, name: "renamed" });
told.deleted = await vapi.calls.delete({ id: created.id });
told.deletedAgain = await vapi.calls.delete({ id: created.id });
told.notFound = await failed(download(vapi.calls, "MonoRecording", missing));
told.unauthorized = await failed(download(client("wrong").calls, "MonoRecording", call));
told.publicKey = await failed(download(client(publicKey).calls, "MonoRecording", call));
process.stdout.write(JSON.stringify(told));
