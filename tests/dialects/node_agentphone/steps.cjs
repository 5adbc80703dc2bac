// Does what it is told to with AgentPhone's own client, and tells what came of each step, as JSON.
const { AgentPhoneClient } = require("agentphone");

const [baseUrl, token, told] = process.argv.slice(2);
const client = new AgentPhoneClient({ baseUrl, token, maxRetries: 0 });

async function done([part, method, ...args]) {
  try {
    return { answer: await client[part][method](...args) };
  } catch (error) {
    return { error: error.constructor.name, statusCode: error.statusCode, body: error.body };
  }
}

(async () => {
  const results = [];
  for (const step of JSON.parse(told)) results.push(await done(step));
  console.log(JSON.stringify(results));
})();
