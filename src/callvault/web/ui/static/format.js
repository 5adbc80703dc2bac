// How times, people and calls are written on the page.
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0"));
  const hours = Math.floor(whole / 3600);
  return (hours ? `${hours}:` : "") + parts.join(":");
}

export function day(unixSeconds) {
  if (!unixSeconds) return "";
  return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(unixSeconds * 1000);
}

export function person(call, role) {
  const who = (call.participants || []).find((participant) => participant.role === role);
  if (who && who.name) return who.name;
  const customerNumber = call.direction === "outbound" ? call.to : call.from;
  if (role === "customer") return customerNumber || "Unknown caller";
  return (call.assistant && call.assistant.name) || "Assistant";
}

export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(properties.attributes || {})) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
