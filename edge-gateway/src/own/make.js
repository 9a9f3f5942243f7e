// Elements out of texts, and schemas in a few words.

export function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export const code = text => make("code", {}, text);

// Paragraphs, lists with `*`, and code between backticks: what comments of a contract use of Markdown.
export function prose(text) {
  return (text || "").split("\n\n").filter(Boolean).flatMap(paragraph => {
    const lines = paragraph.split("\n");
    const entries = lines.filter(line => line.startsWith("* "));
    const rest = lines.filter(line => line && !line.startsWith("* ")).join(" ");
    return [
      ...(rest ? [make("p", {}, ...inline(rest))] : []),
      ...(entries.length ? [make("ul", {}, ...entries.map(entry => make("li", {}, ...inline(entry.slice(2)))))] : []),
    ];
  });
}

// Code between backticks.
export function inline(text) {
  return text.split("`").map((piece, place) => place % 2 ? code(piece) : piece);
}

// What a reference stands for.
export function resolve(api, value) {
  const path = value?.$ref?.slice(2).split("/");
  return path ? path.reduce((inside, name) => inside?.[name], api) : value;
}

// The text alone, or the name of a schema with what stands around it.
export function typeOf(schema) {
  if (!schema) return { text: "" };
  if (schema.$ref) return { name: schema.$ref.split("/").pop(), text: { before: "", after: "" } };
  if (schema.type === "array") {
    const inner = typeOf(schema.items);
    return inner.name ? { name: inner.name, text: { before: "array of ", after: "" } } : { text: `array of ${inner.text}` };
  }
  const kind = [schema.type || "any"].flat().join(" or ");
  return { text: schema.format ? `${kind} (${schema.format})` : kind };
}
